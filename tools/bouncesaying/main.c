/* bouncesaying: refuses the message of a delivery with a text, always or if a program says so. For lines of .qmail files.
 * Trusts the author of the line for the program and the text.
 * Never refuses where the program did not end with status 0. */
#include "sys/about.h"
#include "sys/run.h"

#include <stdio.h>

#define REFUSE 100
#define LATER 111

static const char usage[] = "usage: bouncesaying TEXT [PROGRAM [ARGUMENT…]] <message\n";

int
main(int argc, char *argv[])
{
	int status = 0;

	about(argc, argv, "bouncesaying", usage);
	if (argc < 2) {
		(void)fputs(usage, stderr);
		return 100;
	}
	if (argc > 2)
		status = run_program("bouncesaying", argv + 2);
	if (status != 0)
		return status == LATER ? LATER : 0;
	(void)printf("%s\n", argv[1]);
	return fflush(stdout) == 0 ? REFUSE : LATER;
}
