/* Writing one message into a Maildir file. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"

struct copy_job {
	int from_fd; /* queue file */
	uint64_t content_at, content_len;
	struct bytes reverse_path; /* without brackets */
	struct bytes recipient;
	struct bytes trace; /* header fields, lines ended by CRLF */
	int to_fd;
};

/* Writes Return-Path, Delivered-To, the trace fields and the content, lines ended by LF. OK; REFUSED: the content's own
 * header has a Delivered-To with this recipient: a loop; EXHAUSTED, BROKEN (errno in why). */
enum result copy_message(const struct copy_job *job, struct why *why);
