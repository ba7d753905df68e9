/* Writing one message out of a queue file: for a Maildir, for an mbox, for a program. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"

enum copy_form {
	COPY_MAILDIR, /* Return-Path and Delivered-To in front */
	COPY_MBOX, /* the same behind from_line; `>` before each line that begins with `From ` or with `>` and then that; a last LF if
		       * it is missing, and an empty line */
	COPY_PLAIN, /* trace fields and content alone */
};

struct copy_job {
	int from_fd; /* queue file */
	uint64_t content_at, content_len;
	struct bytes reverse_path; /* without brackets */
	struct bytes recipient;
	struct bytes trace; /* header fields, lines ended by CRLF */
	int to_fd;
	enum copy_form form;
	struct bytes from_line; /* COPY_MBOX: with its LF */
};

/* Writes what `form` puts in front, the trace fields and the content, lines ended by LF. OK; REFUSED: the content's own
 * header has a Delivered-To with this recipient: a loop; EXHAUSTED, BROKEN (errno in why). */
enum result copy_message(const struct copy_job *job, struct why *why);
