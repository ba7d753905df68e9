/* The content of a message as it comes in: DATA (RFC 5321 4.5.2: dots, CRLF.CRLF) and BDAT (RFC 3030), cut anywhere.
 * Only CRLF.CRLF ends DATA. A bare CR, a bare LF or a NUL is a fault; decoding then goes on to the true end, so that
 * nothing that follows can be taken for a command. */
#pragma once

#include "base/bytes.h"

enum smtp_data_fault { SMTP_DATA_FINE, SMTP_DATA_BARE_CR, SMTP_DATA_BARE_LF, SMTP_DATA_NUL };

enum smtp_data_state {
	SMTP_DATA_START, /* at the start of a line */
	SMTP_DATA_TEXT,
	SMTP_DATA_CR,       /* a CR was seen, and is held back */
	SMTP_DATA_CR_CR,    /* and another, which is excused */
	SMTP_DATA_DOT,      /* a dot at the start of a line, held back */
	SMTP_DATA_DOT_CR,   /* and a CR after it */
	SMTP_DATA_START_LF, /* after an excused bare LF: dots are undone, but none ends the data */
	SMTP_DATA_DOT_LF,   /* a dot there, held back */
	SMTP_DATA_END,
};

struct smtp_data {
	enum smtp_data_state state;
	enum smtp_data_fault fault; /* the first */
	bool chunked;               /* BDAT: dots mean nothing, only the caller knows the end */
	bool excuse_lf;             /* a bare LF becomes CRLF */
	bool excuse_cr;             /* so does a bare CR; CR CR LF is one line end */
};

/* Room that smtp_data_push may need in `out` for n octets of input. */
#define SMTP_DATA_ROOM(n) (2 * (n) + 4)

void smtp_data_begin(struct smtp_data *d, bool chunked, bool excuse_lf, bool excuse_cr);

/* Decodes from in; writes content (CRLF lines, dots undone) to out, which has SMTP_DATA_ROOM(in.len) octets. Returns
 * how much of in was used: all of it, or less if the end was found (state SMTP_DATA_END). *n is what was written;
 * nothing once there is a fault. */
size_t smtp_data_push(struct smtp_data *d, struct bytes in, uint8_t *out, size_t *n);

/* BDAT: after the last chunk. Writes what is missing of a final CRLF (at most 2 octets) to out; a CR held back is a
 * fault. */
size_t smtp_data_finish(struct smtp_data *d, uint8_t out[2]);

/* Counts the fields of the header section that tell hops (RFC 5321 6.3; RFC 9228). */
struct smtp_hops {
	uint32_t received, delivered_to;
	uint8_t n_start; /* octets of the line's start that are kept */
	bool over;       /* the header section has ended */
	uint8_t start[13];
};

void smtp_hops_push(struct smtp_hops *h, struct bytes content);
