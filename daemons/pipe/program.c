/* One program at work: from its start to its end.
 * Trusts the user who named it with that user's rights; not that it ends, keeps quiet, reads its message or cleans up behind itself.
 * Never gives it a descriptor but 0 to 2, never lets it or what it started outlive it or its time. */
#include "pipe/pipe.h"

#include "sys/clock.h"
#include "sys/fd.h"
#include "sys/home.h"
#include "sys/log.h"
#include "sys/log_out.h"
#include "sys/strays.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct environment environment;
static char command[8192];

/* ---- in the child ---- */

static void
bound(int resource, rlim_t value)
{
	struct rlimit l;

	if (getrlimit((__rlimit_resource_t)resource, &l) != 0)
		return;
	if (value < l.rlim_max)
		l.rlim_cur = l.rlim_max = value;
	(void)setrlimit((__rlimit_resource_t)resource, &l);
}

__attribute__((noreturn)) static void
become(uint32_t limit_s, pid_t parent, int message, int output)
{
	char sh[] = "sh", option[] = "-c";
	char *words[] = { sh, option, command, NULL };
	sigset_t none;

	(void)setsid(); /* a group of its own, by which it is ended */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent)
		_exit(111);
	(void)signal(SIGALRM, SIG_DFL);
	log_out_usual_signals();
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)umask(077);
	bound(RLIMIT_CPU, (rlim_t)limit_s + 1);
#if !defined(__SANITIZE_ADDRESS__) /* which maps terabytes, also between fork and exec */
	bound(RLIMIT_DATA, (rlim_t)2 << 30);
#endif
	if (dup2(message, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0 || close_range(3, ~0U, 0) != 0)
		_exit(111);
	(void)execve("/bin/sh", words, environment.words);
	(void)dprintf(2, "/bin/sh can't be executed: %s\n", strerrordesc_np(errno));
	_exit(111);
}

/* ---- its words ---- */

static void
hear(struct job *j)
{
	uint8_t rest[4096];
	ssize_t n = 1;

	for (int i = 0; i < 16 && n > 0; i++) {
		size_t room = sizeof j->said - j->said_len;

		/* more than is kept is thrown away, so that it does not wait for us */
		n = read(j->words.fd, room > 0 ? j->said + j->said_len : rest, room > 0 ? room : sizeof rest);
		if (n > 0 && room > 0)
			j->said_len += (size_t)n;
	}
	if (n == 0)
		loop_forget(&j->pipe->loop, &j->words);
}

static void
it_speaks(struct loop *loop, struct source *s, uint32_t events)
{
	(void)loop;
	(void)events;
	hear(container_of(s, struct job, words));
}

/* ---- the start ---- */

static void
too_late(struct loop *loop, struct timer *t)
{
	struct job *j = container_of(t, struct job, limit);

	(void)loop;
	j->late = true;
	(void)kill(-j->pid, SIGKILL); /* its end follows */
	(void)kill(j->pid, SIGKILL);  /* it may not have come to make its group yet */
}

static enum result
run(struct job *j, uint32_t limit_s, int message, struct why *why)
{
	pid_t parent = getpid();
	int output[2];
	enum result r;

	if (pipe2(output, O_CLOEXEC | O_NONBLOCK) != 0)
		return why_errno(why, EXHAUSTED, "making a pipe");
	(void)fd_set_nonblocking(output[1], false); /* only our end does not wait */
	j->words = (struct source){ .fd = output[0], .ready = it_speaks };
	j->pid = -1;
	r = loop_watch(&j->pipe->loop, &j->words, EPOLLIN, why);
	if (r == OK && (j->pid = fork()) < 0)
		r = why_errno(why, EXHAUSTED, "starting a process");
	if (j->pid == 0)
		become(limit_s, parent, message, output[1]);
	fd_close(&output[1]);
	if (r == OK)
		return OK;
	j->pid = 0;
	loop_forget(&j->pipe->loop, &j->words);
	fd_close(&j->words.fd);
	return r;
}

static enum result
put_command(struct bytes text, struct why *why)
{
	struct buf b = BUF_OVER(command);

	buf_add(&b, text);
	if (buf_string(&b) == NULL || bytes_find(text, '\0') < text.len)
		return why_set(why, REFUSED, "the command is none");
	return OK;
}

enum result
program_start(
    struct job *j, const struct pi_run *body, const struct bytes fields[PI_RUN_FIELDS], int queue_file, struct why *why)
{
	struct pipe *p = j->pipe;
	int message = -1;
	enum result r;

	if ((r = home_look(&p->away, why)) != OK || (r = put_command(fields[PI_COMMAND], why)) != OK ||
	    (r = environment_make(&environment, p->home, body, fields, clock_wall_s(), why)) != OK ||
	    (r = content_open(queue_file, body, fields[PI_TRACE], &message, why)) != OK)
		return r;
	log_flush(); /* else the child would have our lines, too */
	r = run(j, body->limit_s, message, why);
	fd_close(&message);
	if (r != OK)
		return r;
	j->said_len = 0;
	j->late = false;
	memcpy(j->id, body->id, sizeof j->id);
	j->id[ID_LEN] = '\0';
	j->limit.due = too_late;
	if (loop_at(&p->loop, &j->limit, clock_ms() + UINT64_C(1000) * body->limit_s) != OK)
		too_late(&p->loop, &j->limit);
	return OK;
}

/* ---- the end ---- */

static struct job *
job_of(struct pipe *p, pid_t pid)
{
	for (struct job *j = p->jobs; j < p->jobs + PI_IN_FLIGHT; j++)
		if (j->pid == pid)
			return j;
	return NULL;
}

static bool
belongs_to_a_program(const void *ctx, pid_t pid, pid_t group)
{
	const struct pipe *p = ctx;

	for (const struct job *j = p->jobs; j < p->jobs + PI_IN_FLIGHT; j++)
		if (j->pid > 0 && (j->pid == pid || j->pid == group))
			return true;
	return false;
}

static void
over(struct job *j, int status)
{
	loop_cancel(&j->pipe->loop, &j->limit);
	hear(j);
	loop_forget(&j->pipe->loop, &j->words);
	fd_close(&j->words.fd);
	j->pid = 0;
	job_conclude(j, status);
}

/* The group goes while its leader's number is still its own. */
static void
reap(struct pipe *p)
{
	siginfo_t info;
	int status;

	for (;;) {
		struct job *j;

		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
			break;
		j = job_of(p, info.si_pid);
		if (j != NULL)
			(void)kill(-info.si_pid, SIGKILL);
		if (waitpid(info.si_pid, &status, 0) == info.si_pid && j != NULL)
			over(j, status);
	}
	strays_end(belongs_to_a_program, p);
}

static void
signalled(struct loop *loop, struct source *s, uint32_t events)
{
	struct signalfd_siginfo info;

	(void)events;
	while (read(s->fd, &info, sizeof info) == sizeof info)
		loop->stop |= info.ssi_signo == SIGTERM;
	reap(container_of(loop, struct pipe, loop));
}

enum result
children_open(struct pipe *p, struct why *why)
{
	sigset_t ends;

	/* a stop of the service kills pspawn's group, perhaps before what our programs left is ours to end; we hear of it by send's end */
	(void)setpgid(0, 0);
	(void)sigemptyset(&ends);
	(void)sigaddset(&ends, SIGCHLD);
	(void)sigaddset(&ends, SIGTERM); /* what runs is not left behind */
	if (sigprocmask(SIG_BLOCK, &ends, NULL) != 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
		return why_errno(why, BROKEN, "getting ready for children");
	p->signals.fd = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
	if (p->signals.fd < 0)
		return why_errno(why, EXHAUSTED, "no signalfd");
	p->signals.ready = signalled;
	return loop_watch(&p->loop, &p->signals, EPOLLIN, why);
}

void
children_end(struct pipe *p)
{
	for (struct job *j = p->jobs; j < p->jobs + PI_IN_FLIGHT; j++)
		if (j->pid > 0) {
			(void)kill(-j->pid, SIGKILL);
			(void)kill(j->pid, SIGKILL);
			j->pid = 0;
		}
	for (int i = 0; i < 100; i++) { /* whoever is left becomes a child of ours, and is ended in turn */
		struct timespec pause = { 0, 10000000 };

		strays_end(belongs_to_a_program, p);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
			return;
		(void)nanosleep(&pause, NULL);
	}
}
