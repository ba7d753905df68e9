/* Delivery reports (RFC 3464, RFC 6522; RFC 6533 where addresses are UTF-8). */
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/result.h"

enum report_action { REPORT_FAILED, REPORT_DELIVERED, REPORT_DELAYED, REPORT_RELAYED };

struct report_recipient {
	struct bytes address; /* final recipient */
	struct bytes orcpt;   /* type;xtext as said; empty: none */
	enum report_action action;
	uint16_t status[3]; /* RFC 3463 */
	struct bytes text;  /* what happened, in words or as the peer said it; control octets become blanks */
	struct bytes host;  /* that the mail went or was to go to; empty: none */
	bool from_peer;     /* the text is a remote server's reply: Diagnostic-Code: smtp */
};

struct report {
	struct bytes host;  /* ours */
	struct bytes from;  /* author, an address */
	struct bytes to;    /* whom it goes to */
	struct bytes id;    /* of the message reported on */
	struct bytes envid; /* as said, xtext; empty: none */
	uint64_t arrived_s, now_s;
	uint64_t until_s;   /* how long what is delayed is tried */
	bool utf8;          /* addresses may be UTF-8 */
	bool eight_bit;     /* the message may have octets beyond ASCII */
	bool double_bounce; /* the message itself was a report */
	/* the message */
	int fd; /* queue file */
	uint64_t content_at, content_len;
	struct bytes reverse_path;
	struct bytes trace;
	bool headers_only;
	uint64_t max_octets; /* of the returned content; 0: all */
};

#define REPORT_HEAD_MAX \
	(256u << 10) /* octets before the returned message; recipients that do not fit are counted only */

/* A report in the making: its part for people and its part for programs. */
struct report_writer {
	struct buf text, status;
	uint32_t n_omitted;
};

void report_begin(struct report_writer *w);
void report_add(struct report_writer *w, const struct report *r, const struct report_recipient *who);

struct report_size {
	uint64_t octets;
	uint32_t sum; /* CRC-32C */
};

/* Writes the whole report to fd, lines ended by CRLF; *size: what was written. EXHAUSTED, BROKEN. The writer is spent. */
enum result report_finish(
    struct report_writer *w, const struct report *r, int fd, struct report_size *size, struct why *why);
void report_free(struct report_writer *w);
