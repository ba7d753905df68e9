/* The parent of session processes: confined, configured, without any session's data; forks one child a session. */
#pragma once

#include "base/result.h"

#include <stdbool.h>
#include <sys/types.h>

struct zygote {
	int door_fd;  /* what it waits on */
	int also_fd;  /* it waits on this as well, even when no child may be made; -1: nothing */
	unsigned max; /* children at a time; more wait in the door */
	unsigned n;   /* children now */
	bool spent;   /* a child died of a signal: it must be replaced */
	bool lasts;   /* its children are programs of their own: their deaths are logged, and do not spend it */
};

/* Waits until the door has something and a child may be made. OK: there is
 * something to receive, at one of the two. ABSENT: the zygote
 * is spent (children may still run; the caller ends with PROCESS_SPENT). Reaps children meanwhile. */
enum result zygote_wait(struct zygote *z, struct why *why);

/* Forks. In the child *child is true, and it can't fork again (unless it will be a program of its own). EXHAUSTED if the
 * kernel has no process left. */
enum result zygote_fork(struct zygote *z, bool *child, struct why *why);

/* What a session's process does first: its limit of processes becomes none, for good. Needs MAY_LIMIT. */
bool zygote_end_forks(void);

/* Call once before the first wait. */
enum result zygote_open(struct zygote *z, int door_fd, unsigned max, struct why *why);
