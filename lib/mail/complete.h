/* The header of a message from a mail program, made whole while it passes (RFC 6409 8, RFC 5322 3.6): Date and Message-ID are added
 * if they are missing, Bcc and Resent-Bcc are taken out. */
#pragma once

#include "base/buf.h"

#define COMPLETE_NAME_MAX 16   /* octets of a field's name that is told from others */
#define COMPLETE_ADDED_MAX 512 /* octets that are added at most */

enum complete_place {
	COMPLETE_START, /* of a line: its name is collected */
	COMPLETE_LINE,  /* somewhere in one */
	COMPLETE_OVER,  /* the header has ended */
};

struct complete {
	enum complete_place place;
	bool drops; /* the field that the line belongs to */
	bool has_date, has_id;
	const char *id, *host; /* for the Message-ID: what is unique, and where */
	uint8_t n_start;
	uint8_t start[COMPLETE_NAME_MAX + 1];
};

/* id: an octet string without blanks that comes never again; host: of this host. Both are kept. */
void complete_begin(struct complete *c, const char *id, const char *host);

/* Content as it comes, CRLF lines cut anywhere. out needs room for what comes, COMPLETE_NAME_MAX and COMPLETE_ADDED_MAX
 * octets more. */
void complete_push(struct complete *c, struct bytes content, uint64_t now_s, struct buf *out);

/* Behind the last of it: a message may be a header alone. */
void complete_finish(struct complete *c, uint64_t now_s, struct buf *out);
