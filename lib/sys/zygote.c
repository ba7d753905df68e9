/* Zygotes.
 * Trusts nothing that its children say; it looks only at how they end.
 * Never lets a child try again with an address-space layout that killed one: a death by a signal spends the zygote. */
#include "sys/zygote.h"

#include "base/bytes.h"
#include "sys/log.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_MS 250     /* while children run, how soon the end of one is seen when nothing else happens */
#define LOOK_FULL_MS 10 /* the same when no more may be made */

enum result
zygote_open(struct zygote *z, int door_fd, unsigned max, struct why *why)
{
	*z = (struct zygote){ .door_fd = door_fd, .also_fd = -1, .max = max };
	/* ends of children are looked for, not signalled: a signal each would cost as much as a message */
	if (signal(SIGCHLD, SIG_DFL) == SIG_ERR)
		return why_errno(why, BROKEN, "resetting SIGCHLD");
	return OK;
}

static void
log_death(pid_t pid, int status)
{
	struct log_line l;

	log_begin(&l, SEVERITY_ERROR, "session-killed");
	log_number(&l, "child", (uint64_t)pid);
	log_text(&l, "signal", sigdescr_np(WTERMSIG(status)));
	log_end(&l);
}

static void
reap(struct zygote *z)
{
	int status;
	pid_t pid;

	while (z->n > 0 && (pid = waitpid(-1, &status, WNOHANG)) > 0) {
		z->n--;
		if (WIFSIGNALED(status)) {
			log_death(pid, status);
			z->spent = !z->lasts;
		}
	}
}

/* Looks at the ends of children after it has waited: the next is not made before every death so far has been seen. */
enum result
zygote_wait(struct zygote *z, struct why *why)
{
	for (;;) {
		struct pollfd p[2] = { { z->n < z->max ? z->door_fd : -1, POLLIN, 0 }, { z->also_fd, POLLIN, 0 } };
		int n = poll(p, nitems(p), z->n == 0 ? -1 : z->n < z->max ? LOOK_MS : LOOK_FULL_MS);

		if (n < 0 && errno != EINTR)
			return why_errno(why, BROKEN, "waiting at the door");
		reap(z);
		if (z->spent)
			return why_set(why, ABSENT, "a session died of a signal; a fresh process takes over");
		if (n > 0)
			return OK;
	}
}

/* A filter on top would take the call itself, but costs a session as much as its fork. */
bool
zygote_end_forks(void)
{
	static const struct rlimit none = { 0, 0 };

	return setrlimit(RLIMIT_NPROC, &none) == 0;
}

enum result
zygote_fork(struct zygote *z, bool *child, struct why *why)
{
	pid_t pid = _Fork();

	if (pid < 0)
		return why_errno(why, EXHAUSTED, "making a session's process");
	if (pid == 0 && !z->lasts && !zygote_end_forks())
		_exit(111);
	*child = pid == 0;
	z->n += pid > 0;
	return OK;
}
