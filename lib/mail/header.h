/* Where the header of a message ends that somebody piped in. */
#pragma once

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>

struct header_end {
	/* where the next call goes on: the beginning of a line that was not whole */
	size_t line_at;
	/* the answer */
	size_t header_len; /* octets of header fields */
	size_t body_at;    /* behind the empty line; or where the first line begins that is no header field */
};

/* Fields are as in RFC 5322 2.2 and 4.5 (blanks before the colon); the first line may be an mbox's "From ". Lines end with
 * LF or CRLF. text: all that has come so far; ended: no more will come. False: more is needed. Start with all zero. */
bool header_find_end(struct header_end *h, struct bytes text, bool ended);
