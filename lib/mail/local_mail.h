/* What sendmail and postern-inject have in common: a message from standard input, completed and submitted. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"

struct local_mail {
	const char *sender;      /* of the envelope; null: the user who calls */
	const char *full_name;   /* for a missing From; null: the user's */
	char *const *recipients; /* null at the end; may be none */
	bool from_header;        /* recipients also, or only, from the header */
	bool print;              /* show the message instead of submitting it */
	const char *parameters;  /* of MAIL, with a leading blank: " RET=HDRS" */
	const char *rcpt_parameters;
};

/* Reads standard input to its end and submits it. Control items come from the directory in POSTERN_CONTROLDIR, or the
 * one of the installation. REFUSED, MALFORMED: never; AGAIN, EXHAUSTED, BROKEN: not now. On a failure why
 * says what was wrong, or what the mail system replied. */
enum result local_mail_submit(const struct local_mail *m, struct why *why);

/* Reads standard input to its end, so that nobody waits for a program that is slow: *fd is where the octets can be read, standard
 * input itself if that is a file, else a file without a name in TMPDIR or /tmp. EXHAUSTED: they can't be kept; BROKEN:
 * they can't be read. */
enum result local_mail_gather(int *fd, struct why *why);

/* The socket to submit to; into path. */
enum result local_mail_socket(char path[108], struct why *why);

/* Says what happened, as "PROGRAM: text" on standard error; returns qmail's exit status: 0, 100 or 111. */
int local_mail_exit(const char *program, enum result r, const struct why *why);
