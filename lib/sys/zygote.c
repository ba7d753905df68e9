/* Zygotes.
 * Trusts nothing that its children say; it looks only at how they end.
 * Never lets a child try again with an address-space layout that killed one: a death by a signal spends the zygote. */
#include "sys/zygote.h"

#include "sys/log.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static sigset_t outside; /* the mask while waiting, and in children */

static void
noticed(int signal)
{
	(void)signal;
}

enum result
zygote_open(struct zygote *z, int door_fd, unsigned max, struct why *why)
{
	struct sigaction sa = { .sa_handler = noticed };
	sigset_t block;

	*z = (struct zygote){ .door_fd = door_fd, .max = max };
	(void)sigemptyset(&sa.sa_mask);
	(void)sigemptyset(&block);
	(void)sigaddset(&block, SIGCHLD);
	if (sigaction(SIGCHLD, &sa, NULL) != 0 || sigprocmask(SIG_BLOCK, &block, &outside) != 0)
		return why_errno(why, BROKEN, "catching SIGCHLD");
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

enum result
zygote_wait(struct zygote *z, struct why *why)
{
	for (;;) {
		struct pollfd p = { z->n < z->max ? z->door_fd : -1, POLLIN, 0 };

		reap(z);
		if (z->spent)
			return why_set(why, ABSENT, "a session died of a signal; a fresh process takes over");
		p.fd = z->n < z->max ? z->door_fd : -1;
		if (ppoll(&p, 1, NULL, &outside) > 0)
			return OK;
		if (errno != EINTR)
			return why_errno(why, BROKEN, "waiting at the door");
	}
}

enum result
zygote_fork(struct zygote *z, bool *child, struct why *why)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };
	pid_t pid = _Fork();

	if (pid < 0)
		return why_errno(why, EXHAUSTED, "making a session's process");
	*child = pid == 0;
	if (pid > 0) {
		z->n++;
		return OK;
	}
	(void)sigaction(SIGCHLD, &sa, NULL);
	(void)sigprocmask(SIG_SETMASK, &outside, NULL);
	return OK;
}
