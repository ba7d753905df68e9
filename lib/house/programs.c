/* Executables held open.
 * Trusts the directory of programs, which is root's.
 * Never executes by name what it holds. */
#include "house/programs.h"

#include "base/bytes.h"
#include "config.h"
#include "house/house.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_MS 10000
#define ANSWER_MAX 128

static enum result
hold(struct programs *p, const char *libexec, const char *name, struct why *why)
{
	struct program *new = &p->at[p->n];
	char path[512];

	if (programs_find(p, name) >= 0)
		return OK;
	if (p->n == PROGRAMS_MAX || strlen(name) >= sizeof new->name)
		return why_set(why, BROKEN, "more programs than expected: %s", name);
	(void)snprintf(path, sizeof path, "%s/%s", libexec, name);
	new->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (new->fd < 0)
		return why_errno(why, errno == ENOENT ? ABSENT : BROKEN, "opening the program %s", path);
	(void)snprintf(new->name, sizeof new->name, "%s", name);
	p->n++;
	return OK;
}

static enum result
hold_member(struct programs *p, const struct instance *in, const char *process, struct why *why)
{
	const struct privileges *may = house_privileges(process);
	enum result r = hold(p, in->libexec, process, why);

	for (const struct fd_slot *s = may->fds; r == OK && s < may->fds + nitems(may->fds) && s->name != NULL; s++)
		if (s->kind == FD_PROGRAM && !house_goes_without(in->service, process, s->name))
			r = hold(p, in->libexec, s->name, why);
	return r;
}

enum result
programs_hold(struct programs *p, const struct instance *in, struct why *why)
{
	const char *members[HOUSE_MEMBERS_MAX];
	size_t n = house_members(in->service, members);
	enum result r;

	p->n = 0;
	r = hold(p, in->libexec, "keyring", why);
	for (size_t i = 0; i < n && r == OK; i++)
		r = hold_member(p, in, members[i], why);
	if (r != OK)
		programs_release(p);
	return r;
}

void
programs_release(struct programs *p)
{
	for (size_t i = 0; i < p->n; i++)
		fd_close(&p->at[i].fd);
	p->n = 0;
}

int
programs_find(const struct programs *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->at[i].name, name) == 0)
			return p->at[i].fd;
	return -1;
}

/* ---- versions ---- */

__attribute__((noreturn)) static void
ask(const struct program *p, int answer)
{
	char name[sizeof p->name], option[] = "--version";
	char *argv[] = { name, option, NULL }, *environment[] = { NULL };

	memcpy(name, p->name, sizeof name);
	if (dup2(answer, STDOUT_FILENO) >= 0)
		(void)execveat(p->fd, "", argv, environment, AT_EMPTY_PATH);
	_exit(127);
}

/* reads until the end, the limit or ANSWER_MS */
static size_t
hear(int fd, char text[ANSWER_MAX])
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t len = 0;
	ssize_t n = 1;

	while (n > 0 && len < ANSWER_MAX - 1 && poll(&p, 1, ANSWER_MS) == 1) {
		n = read(fd, text + len, ANSWER_MAX - 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	text[len] = '\0';
	return len;
}

static enum result
check_version(const struct program *p, struct why *why)
{
	char expected[ANSWER_MAX], text[ANSWER_MAX];
	int ends[2], status;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return why_errno(why, EXHAUSTED, "making a pipe");
	pid = fork();
	if (pid == 0)
		ask(p, ends[1]);
	(void)close(ends[1]);
	if (pid > 0) {
		text[hear(ends[0], text)] = '\0';
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, &status, 0);
	}
	(void)close(ends[0]);
	if (pid < 0)
		return why_errno(why, EXHAUSTED, "starting %s", p->name);
	(void)snprintf(expected, sizeof expected, "%s (Postern) %s\n", p->name, POSTERN_VERSION);
	if (strcmp(text, expected) == 0)
		return OK;
	text[strcspn(text, "\n")] = '\0';
	return why_set(why, REFUSED,
	    "the program %s says \"%s\", warden is of version %s: install all programs of one version", p->name, text,
	    POSTERN_VERSION);
}

enum result
programs_check_versions(const struct programs *p, struct why *why)
{
	enum result r = OK;

	for (size_t i = 0; i < p->n && r == OK; i++)
		r = check_version(&p->at[i], why);
	return r;
}
