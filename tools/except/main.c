/* except: turns what a program says round: 0 becomes a refusal, a refusal 0. For lines of .qmail files.
 * Trusts the author of the line for the program.
 * Never turns "later" (111) into anything else. */
#include "sys/about.h"
#include "sys/run.h"

#include <stdio.h>

#define REFUSE 100
#define LATER 111

static const char usage[] = "usage: except PROGRAM [ARGUMENT…]\n";

int
main(int argc, char *argv[])
{
	int status;

	about(argc, argv, "except", usage);
	if (argc < 2) {
		(void)fputs(usage, stderr);
		return 100;
	}
	status = run_program("except", argv + 1);
	return status == 0 ? REFUSE : status == LATER ? LATER : 0;
}
