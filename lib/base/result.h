/* What a function has to say to its caller: what to do (enum result) and what to tell (struct why). */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum [[nodiscard]] result{
	OK,        /* done */
	AGAIN,     /* not now; the same call can succeed later */
	ABSENT,    /* what was asked for does not exist */
	REFUSED,   /* not allowed, by policy or by the system */
	MALFORMED, /* the input breaks its format */
	EXHAUSTED, /* a limit, memory, disk or descriptors */
	BROKEN,    /* this program or its surroundings are at fault */
};

enum severity { SEVERITY_INFO, SEVERITY_WARNING, SEVERITY_ERROR };

/* How a result looks to a peer, to a shell, and in the log: the only such table. */
struct result_meaning {
	const char *name;
	int exit_status; /* qmail's: 0 fine, 100 permanent, 111 temporary */
	enum severity severity;
};

/* Never null; an unknown value has the meaning of BROKEN. */
const struct result_meaning *result_meaning(enum result r);

#define WHY_MAX 400

/* The caller owns it. Filled once, where the names are known; logged once, where it is decided. */
struct why {
	char text[WHY_MAX];
};
#define WHY_NONE ((struct why){ "" })

/* Fills `why` unless it is already filled; a text too long is cut. `why` may be null. Returns r, so that
 * a function can end with it. */
enum result why_set(struct why *why, enum result r, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same, with ": " and the text of errno behind it. */
enum result why_errno(struct why *why, enum result r, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The result that an errno stands for: EXHAUSTED for ENOSPC, ENOMEM, EMFILE, …; AGAIN for EAGAIN, EINTR;
 * ABSENT for ENOENT; REFUSED for EACCES, EPERM; else BROKEN. */
enum result result_of_errno(int error);
