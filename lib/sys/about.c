/* --version and --help, the same for all programs.
 * Trusts its caller's texts.
 * Never looks at a command line of more than one word: behind it --help may be somebody's argument. */
#include "sys/about.h"

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
about(int argc, char *const argv[], const char *name, const char *usage)
{
	if (argc != 2)
		return;
	if (strcmp(argv[1], "--version") == 0)
		(void)printf("%s (Postern) %s\n", name, POSTERN_VERSION);
	else if (strcmp(argv[1], "--help") == 0)
		(void)fputs(usage, stdout);
	else
		return;
	exit(fflush(stdout) == 0 ? 0 : 111);
}
