/* The header of a message from a mail program, made whole while it passes (RFC 6409 8, RFC 5322 3.6): Date and
 * Message-ID are added if they are missing, Bcc and Resent-Bcc are taken out.
 * The header ends at the blank line, or before the first line that is neither a field nor the continuation of one: the
 * missing blank line is added there. Nothing behind that is changed. */
#pragma once

#include "base/buf.h"

#define COMPLETE_NAME_MAX 998  /* octets of a field's name and the blanks behind it (RFC 5322 2.1.1) */
#define COMPLETE_ADDED_MAX 512 /* octets that are added at most */

enum complete_place {
	COMPLETE_START, /* of a line: it is not known yet whether it is a field */
	COMPLETE_LINE,  /* somewhere in the line of a field */
	COMPLETE_OVER,  /* the header has ended */
};

struct complete {
	enum complete_place place;
	bool drops;      /* the field that the line belongs to */
	bool has_fields; /* so a line that begins with a blank continues one */
	bool first_line;
	bool has_date, has_id;
	const char *id, *host; /* for the Message-ID: what is unique, and where */
	size_t n_name;         /* octets of start before its blanks */
	size_t n_start;
	uint8_t start[COMPLETE_NAME_MAX + 1];
};

/* id: an octet string without blanks that is never used again; host: of this host. Both are kept. */
void complete_begin(struct complete *c, const char *id, const char *host);

/* Content as it comes, CRLF lines cut anywhere. out needs room for what comes, COMPLETE_NAME_MAX and COMPLETE_ADDED_MAX
 * octets more. */
void complete_push(struct complete *c, struct bytes content, uint64_t now_s, struct buf *out);

/* Behind the last of it: a message may be a header alone. */
void complete_finish(struct complete *c, uint64_t now_s, struct buf *out);
