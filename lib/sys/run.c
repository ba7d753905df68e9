/* A program run on behalf of a small program that somebody put into a .qmail line.
 * Trusts its caller for the words of the command; there is no shell between.
 * Never takes a program that died of a signal for one that said something. */
#include "sys/run.h"

#include "base/result.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PERMANENT 100
#define TEMPORARY 111

int
run_instead(const char *program, char *const argv[])
{
	int error;

	(void)execvp(argv[0], argv);
	error = errno;
	(void)fprintf(stderr, "%s: unable to run %s: %s\n", program, argv[0], strerror(error));
	return result_of_errno(error) == ABSENT || result_of_errno(error) == REFUSED ? PERMANENT : TEMPORARY;
}

int
run_program(const char *program, char *const argv[])
{
	int status;
	pid_t child = fork();

	if (child < 0) {
		(void)fprintf(stderr, "%s: unable to run %s: %s\n", program, argv[0], strerror(errno));
		return TEMPORARY;
	}
	if (child == 0)
		_exit(run_instead(program, argv));
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return TEMPORARY;
	return WIFEXITED(status) ? WEXITSTATUS(status) : TEMPORARY;
}
