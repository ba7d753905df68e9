/* Lines in front of a message, for a program that reads it.
 * Trusts its caller for the words of the command; there is no shell between.
 * Never waits for a program that does not read: the pipe's end tells. */
#include "sys/feed.h"

#include "base/bytes.h"
#include "base/result.h"
#include "sys/fd.h"
#include "sys/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEMPORARY 111

static int
fail(const char *program, const char *what)
{
	(void)fprintf(stderr, "%s: %s: %s\n", program, what, strerror(errno));
	return TEMPORARY;
}

/* 0, or TEMPORARY if the message can't be read. A reader that has seen enough is no failure. */
static int
copy(const char *program, const char *const in_front[], int to)
{
	static uint8_t piece[65536];
	enum result r = OK;

	for (; r == OK && *in_front != NULL; in_front++)
		r = fd_write_all(to, bytes_of_string(*in_front));
	while (r == OK) {
		ssize_t n = read(STDIN_FILENO, piece, sizeof piece);

		if (n == 0)
			return 0;
		if (n > 0)
			r = fd_write_all(to, bytes_of(piece, (size_t)n));
		else if (errno != EINTR)
			return fail(program, "reading the message");
	}
	return r == ABSENT ? 0 : fail(program, "writing to the program");
}

int
feed_program(const char *program, const char *const in_front[], char *const argv[])
{
	int ends[2], failed, status;
	pid_t child;

	(void)signal(SIGPIPE, SIG_IGN);
	if (pipe(ends) != 0 || (child = fork()) < 0)
		return fail(program, "starting a program");
	if (child == 0) {
		(void)signal(SIGPIPE, SIG_DFL);
		if (dup2(ends[0], STDIN_FILENO) < 0)
			_exit(fail(program, "starting a program"));
		(void)close(ends[0]);
		(void)close(ends[1]);
		_exit(run_instead(program, argv));
	}
	(void)close(ends[0]);
	failed = copy(program, in_front, ends[1]);
	if (failed != 0)
		(void)kill(child, SIGTERM); /* half a message must not look like a whole one */
	(void)close(ends[1]);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return TEMPORARY;
	return failed != 0 ? failed : WIFEXITED(status) ? WEXITSTATUS(status) : TEMPORARY;
}
