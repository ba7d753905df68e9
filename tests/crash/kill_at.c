/* kill_at MODE PID N: kills a process when it enters its N-th system call from now on.
 * MODE self: PID itself, all its threads. child: what PID forks. exec: what PID forks and executes, from there on.
 * Prints "ready", then the number of the call at which it killed. Trusts the test; never touches another process. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRACEES_MAX 256

struct tracee {
	pid_t tid;
	bool counts; /* its calls are counted */
};

static struct tracee tracees[TRACEES_MAX];
static pid_t target;
static const char *mode;

static const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
    PTRACE_O_TRACEEXEC;

static struct tracee *
find(pid_t tid)
{
	for (size_t i = 0; i < TRACEES_MAX; i++)
		if (tracees[i].tid == tid)
			return &tracees[i];
	return NULL;
}

static struct tracee *
know(pid_t tid, bool counts)
{
	struct tracee *t = find(tid);

	if (t == NULL && (t = find(0)) == NULL)
		exit(3);
	t->tid = tid;
	t->counts |= counts;
	return t;
}

static void
seize_all(void)
{
	char path[64];
	struct dirent *e;
	DIR *d;

	(void)snprintf(path, sizeof path, "/proc/%d/task", target);
	if ((d = opendir(path)) == NULL)
		exit(2);
	while ((e = readdir(d)) != NULL) {
		pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);

		if (tid <= 0)
			continue;
		if (ptrace(PTRACE_SEIZE, tid, 0, options) != 0 || ptrace(PTRACE_INTERRUPT, tid, 0, 0) != 0) {
			(void)fprintf(stderr, "kill_at: %d: %s\n", tid, strerror(errno));
			exit(2);
		}
		(void)know(tid, strcmp(mode, "self") == 0);
	}
	(void)closedir(d);
}

/* a new thread or process of t */
static void
follow(const struct tracee *t)
{
	unsigned long made = 0;

	if (ptrace(PTRACE_GETEVENTMSG, t->tid, 0, &made) == 0)
		(void)know((pid_t)made, strcmp(mode, "child") == 0 || t->counts);
}

/* true: it has just entered a system call that counts */
static bool
enters(const struct tracee *t, int *number)
{
	struct __ptrace_syscall_info info;

	if (!t->counts || ptrace(PTRACE_GET_SYSCALL_INFO, t->tid, sizeof info, &info) <= 0 ||
	    info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return false;
	*number = (int)info.entry.nr;
	return true;
}

static int
watch(long n)
{
	int status, number;

	for (;;) {
		pid_t tid = waitpid(-1, &status, __WALL);
		int signal = 0, event = status >> 16;
		struct tracee *t;

		if (tid < 0)
			return errno == EINTR ? 1 : 0;
		t = know(tid, false);
		if (!WIFSTOPPED(status)) {
			*t = (struct tracee){ 0 };
			continue;
		}
		if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE)
			follow(t);
		else if (event == PTRACE_EVENT_EXEC)
			t->counts |= strcmp(mode, "exec") == 0;
		else if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			if (enters(t, &number) && --n == 0) {
				(void)kill(tid, SIGKILL);
				(void)printf("%d\n", number);
				return 0;
			}
		} else if (event == 0 && WSTOPSIG(status) != SIGTRAP)
			signal = WSTOPSIG(status);
		(void)ptrace(PTRACE_SYSCALL, tid, 0, (long)signal);
	}
}

int
main(int argc, char *argv[])
{
	if (argc != 4)
		return 2;
	mode = argv[1];
	target = (pid_t)strtol(argv[2], NULL, 10);
	seize_all();
	(void)puts("ready");
	(void)fflush(stdout);
	return watch(strtol(argv[3], NULL, 10));
}
