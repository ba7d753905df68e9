/* One program at work: from its start to what its end means.
 * Trusts root, who named it; not that it ends, keeps quiet, or cleans up behind itself.
 * Never gives it a descriptor but 0 to 3, never lets it or what it started outlive its time. */
#include "authrun/authrun.h"

#include "base/secret.h"
#include "control/recipients.h"
#include "sys/clock.h"
#include "sys/confine_into.h"
#include "sys/fd.h"
#include "sys/log.h"
#include "sys/log_out.h"
#include "sys/strays.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define INPUT_FD 3 /* as checkpassword has it */

/* ---- in the child ---- */

static void
bound(int resource, rlim_t value)
{
	struct rlimit l;

	if (getrlimit((__rlimit_resource_t)resource, &l) == 0) {
		if (value < l.rlim_max)
			l.rlim_cur = l.rlim_max = value;
		(void)setrlimit((__rlimit_resource_t)resource, &l);
	}
}

__attribute__((noreturn)) static void
become(const struct errand *e, char *const words[], pid_t parent, int input, int output)
{
	char remote[32 + INET6_ADDRSTRLEN] = "TCPREMOTEIP=", service[80];
	char path[] = "PATH=" PROGRAM_PATH, protocol[] = "PROTO=TCP";
	char *environment[] = { path, service, protocol, NULL, NULL };
	struct why why = WHY_NONE;
	sigset_t none;

	if ((e->family == 4 || e->family == 6) &&
	    inet_ntop(e->family == 4 ? AF_INET : AF_INET6, e->remote, remote + 12, INET6_ADDRSTRLEN) != NULL)
		environment[3] = remote;
	(void)snprintf(service, sizeof service, "SERVICE=%.60s", e->a->service);
	(void)setsid(); /* a group of its own, by which it is ended */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent)
		_exit(111);
	(void)signal(SIGALRM, SIG_DFL);
	log_out_usual_signals();
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	bound(RLIMIT_CPU, e->a->limit_ms / 1000 + 1);
	bound(RLIMIT_NOFILE, 256);
	bound(RLIMIT_FSIZE, 64u << 20);
#if !defined(__SANITIZE_ADDRESS__) /* which maps terabytes, also between fork and exec */
	bound(RLIMIT_DATA, 1u << 30);
#endif
	(void)!process_wall_off(&why); /* as far as the kernel can: all programs have one uid */
	if (dup2(output, 2) < 0 || dup2(input, INPUT_FD) < 0 || close_range(INPUT_FD + 1, ~0U, 0) != 0)
		_exit(111);
	(void)execve(words[0], words, environment);
	(void)dprintf(2, "%s can't be executed: %s\n", words[0], strerrordesc_np(errno));
	_exit(111);
}

/* ---- its words ---- */

static void
hear(struct errand *e)
{
	uint8_t rest[4096];
	ssize_t n = 1;

	for (int i = 0; i < 4 && n > 0; i++) {
		size_t room = sizeof e->said - e->said_len;

		/* more than is kept is thrown away, so that it does not wait for us */
		n = read(e->words.fd, room > 0 ? e->said + e->said_len : rest, room > 0 ? room : sizeof rest);
		if (n > 0 && room > 0)
			e->said_len += (size_t)n;
	}
	if (n == 0)
		loop_forget(&e->a->loop, &e->words);
}

static void
it_speaks(struct loop *loop, struct source *s, uint32_t events)
{
	(void)loop;
	(void)events;
	hear(container_of(s, struct errand, words));
}

static void
log_words(const struct errand *e)
{
	struct bytes said = bytes_of(e->said, e->said_len);
	struct log_line l;

	while (said.len > 0 && said.at[said.len - 1] <= ' ')
		said.len--;
	if (said.len == 0)
		return;
	log_begin(&l, SEVERITY_INFO, "program-said");
	if (e->conn[0] != '\0')
		log_text(&l, "conn", e->conn);
	log_bytes(&l, "program", bytes_first(e->program, bytes_find(e->program, '\0')));
	log_bytes(&l, "words", said);
	log_end(&l);
}

static void
log_trouble(const struct errand *e, const char *why)
{
	struct log_line l;

	log_begin(&l, SEVERITY_WARNING, "program-failed");
	if (e->conn[0] != '\0')
		log_text(&l, "conn", e->conn);
	log_bytes(&l, "program", bytes_first(e->program, bytes_find(e->program, '\0')));
	log_text(&l, "why", why);
	log_end(&l);
}

/* ---- the start ---- */

static void
too_late(struct loop *loop, struct timer *t)
{
	struct errand *e = container_of(t, struct errand, limit);

	(void)loop;
	e->late = true;
	(void)kill(-e->pid, SIGKILL); /* its end follows */
	(void)kill(e->pid, SIGKILL);  /* it may not have come to make its group yet */
}

/* All that it is told is in the pipe before it is there: nothing waits for it to read. */
static bool
fill_pipe(struct errand *e, int input[2])
{
	bool done = pipe2(input, O_CLOEXEC) == 0;

	if (done && fd_write_all(input[1], bytes_of(e->input, e->input_len)) != OK) {
		fd_close(&input[0]);
		done = false;
	}
	if (input[1] >= 0)
		fd_close(&input[1]);
	secret_wipe(e->input, sizeof e->input);
	return done;
}

static bool
run(struct errand *e, char *const words[], int input, struct why *why)
{
	int output[2];
	pid_t parent = getpid();

	if (pipe2(output, O_CLOEXEC | O_NONBLOCK) != 0)
		return false;
	/* only our end does not wait */
	(void)fd_set_nonblocking(output[1], false);
	e->words = (struct source){ .fd = output[0], .ready = it_speaks };
	e->pid = -1;
	if (loop_watch(&e->a->loop, &e->words, EPOLLIN, why) == OK)
		e->pid = fork();
	if (e->pid == 0)
		become(e, words, parent, input, output[1]);
	fd_close(&output[1]);
	if (e->pid > 0)
		return true;
	loop_forget(&e->a->loop, &e->words);
	fd_close(&e->words.fd);
	return false;
}

bool
program_start(struct errand *e)
{
	struct authrun *a = e->a;
	char *words[PROGRAM_WORDS_MAX + 1];
	int input[2] = { -1, -1 };
	struct why why = WHY_NONE;
	bool runs;

	if (!program_words(e->program, words) || !fill_pipe(e, input))
		return false;
	log_flush(); /* else the child would have our lines, too */
	runs = run(e, words, input[0], &why);
	fd_close(&input[0]);
	if (!runs)
		return false;
	e->said_len = 0;
	e->late = false;
	e->limit.due = too_late;
	if (loop_at(&a->loop, &e->limit, clock_ms() + a->limit_ms) != OK)
		too_late(&a->loop, &e->limit);
	e->next = a->running;
	a->running = e;
	a->n_running++;
	return true;
}

/* ---- the end ---- */

static struct errand *
take_running(struct authrun *a, pid_t pid)
{
	for (struct errand **at = &a->running; *at != NULL; at = &(*at)->next)
		if ((*at)->pid == pid) {
			struct errand *e = *at;

			*at = e->next;
			a->n_running--;
			return e;
		}
	return NULL;
}

/* list-anything@… is asked about as list-@…, if it was not taken as it is. ABSENT: it is no such address; EXHAUSTED. */
static enum result
ask_again(struct errand *e)
{
	struct buf stem = buf_over(e->input, PROGRAM_INPUT_MAX - 3);

	if (e->again || !recipients_stem(bytes_of(e->address, e->address_len), &stem))
		return ABSENT;
	e->again = true;
	memset(e->input + stem.len, 0, 3);
	e->input_len = stem.len + 3;
	return program_start(e) ? OK : EXHAUSTED;
}

static void
conclude_no(struct errand *e)
{
	enum result r = e->whose == FOR_AUTH ? ABSENT : ask_again(e);

	if (r == ABSENT)
		errand_conclude(e, AR_BAD, BYTES_NONE, "the program says no");
	else if (r != OK)
		errand_conclude(e, AR_TROUBLE, BYTES_NONE, "the program can't be started");
}

static void
conclude(struct errand *e, int status)
{
	char why[AR_REASON_MAX];
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 111;

	if (e->late)
		(void)snprintf(
		    why, sizeof why, "the program did not answer within %u seconds", (unsigned)(e->a->limit_ms / 1000));
	else if (WIFSIGNALED(status))
		(void)snprintf(why, sizeof why, "the program died of a signal: %s", sigdescr_np(WTERMSIG(status)));
	else
		(void)snprintf(why, sizeof why, "the program's exit status is %d", code);
	if (!e->late && code == 0)
		errand_conclude(e, AR_GOOD, BYTES_NONE, "");
	else if (!e->late && (e->whose == FOR_AUTH ? code == 1 : code != 111))
		conclude_no(e);
	else {
		log_trouble(e, why);
		errand_conclude(e, AR_TROUBLE, BYTES_NONE, why);
	}
}

static void
over(struct errand *e, int status)
{
	loop_cancel(&e->a->loop, &e->limit);
	hear(e);
	loop_forget(&e->a->loop, &e->words);
	fd_close(&e->words.fd);
	e->pid = 0;
	log_words(e);
	conclude(e, status);
}

static bool
belongs_to_a_program(const void *ctx, pid_t pid, pid_t group)
{
	const struct authrun *a = ctx;

	for (const struct errand *e = a->running; e != NULL; e = e->next)
		if (e->pid == pid || e->pid == group)
			return true;
	return false;
}

/* The group goes while its leader's number is still its own. */
static void
reap(struct authrun *a)
{
	siginfo_t info;
	int status;

	for (;;) {
		struct errand *e;

		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
			break;
		e = take_running(a, info.si_pid);
		if (e != NULL)
			(void)kill(-info.si_pid, SIGKILL);
		if (waitpid(info.si_pid, &status, 0) == info.si_pid && e != NULL)
			over(e, status);
	}
	strays_end(belongs_to_a_program, a);
}

static void
signalled(struct loop *loop, struct source *s, uint32_t events)
{
	struct signalfd_siginfo info;

	(void)events;
	while (read(s->fd, &info, sizeof info) == sizeof info)
		loop->stop |= info.ssi_signo == SIGTERM;
	reap(authrun_of_loop(loop));
}

enum result
children_open(struct authrun *a, struct why *why)
{
	sigset_t ends;

	(void)sigemptyset(&ends);
	(void)sigaddset(&ends, SIGCHLD);
	(void)sigaddset(&ends, SIGTERM); /* what runs is not left behind */
	if (sigprocmask(SIG_BLOCK, &ends, NULL) != 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
		return why_errno(why, BROKEN, "getting ready for children");
	a->signals.fd = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
	if (a->signals.fd < 0)
		return why_errno(why, EXHAUSTED, "no signalfd");
	a->signals.ready = signalled;
	return loop_watch(&a->loop, &a->signals, EPOLLIN, why);
}

void
children_end(struct authrun *a)
{
	for (const struct errand *e = a->running; e != NULL; e = e->next)
		(void)kill(-e->pid, SIGKILL);
	a->running = NULL;
	for (int i = 0; i < 100; i++) { /* whoever is left becomes a child of ours, and is ended in turn */
		struct timespec pause = { 0, 10000000 };

		strays_end(belongs_to_a_program, a);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
			return;
		(void)nanosleep(&pause, NULL);
	}
}
