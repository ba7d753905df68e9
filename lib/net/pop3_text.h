/* A message as a POP3 client gets it (RFC 1939 3, 5): lines end with CRLF whatever they ended with in the file, the last one
 * too, and a line that begins with a dot gets one more. */
#pragma once

#include "base/buf.h"

#define POP3_TEXT_ROOM(n) (2 * (n) + 2) /* octets that n of the file can become at most, in one push */

struct pop3_text {
	uint8_t line;     /* in progress: 0 nothing yet, 1 only a CR, 2 more */
	bool after_cr;    /* the last octet was a CR */
	bool in_body;     /* the empty line behind the header was seen */
	bool ended;       /* what was asked for is complete: the rest of the file is not wanted */
	bool counts;      /* only the header and so many lines of the body are wanted (TOP) */
	uint32_t n_lines; /* of the body, still wanted */
};

#define POP3_TEXT_WHOLE ((struct pop3_text){ 0 })
#define POP3_TEXT_TOP(lines) ((struct pop3_text){ .counts = true, .n_lines = (lines) })

/* Converts a piece of the file into *out, which has POP3_TEXT_ROOM(in.len) octets of room. */
void pop3_text_push(struct pop3_text *t, struct bytes in, struct buf *out);

/* Ends the last line if it is not, and the message: a line of one dot. */
void pop3_text_finish(struct pop3_text *t, struct buf *out);

/* Counting: octets of the message with its CRLFs and without the added dots (RFC 1939 11), as LIST tells them. */
struct pop3_size {
	uint64_t octets;
	uint8_t last; /* octet */
};

void pop3_size_push(struct pop3_size *s, struct bytes in);
uint64_t pop3_size_finish(const struct pop3_size *s);
