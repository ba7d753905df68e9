/* maildirmake: makes a Maildir.
 * Trusts its caller, who has the rights of his own.
 * Never touches a directory that is there. */
#include "sys/about.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] = "usage: maildirmake DIRECTORY\n";

int
main(int argc, char *argv[])
{
	static const char *const parts[] = { ".", "tmp", "new", "cur" };

	about(argc, argv, "maildirmake", usage);
	if (argc != 2) {
		(void)fputs(usage, stderr);
		return 100;
	}
	(void)umask(077);
	for (unsigned i = 0; i < sizeof parts / sizeof parts[0]; i++)
		if ((i == 0 ? mkdir(argv[1], 0700) : mkdir(parts[i], 0700)) != 0 || (i == 0 && chdir(argv[1]) != 0)) {
			(void)fprintf(stderr, "maildirmake: making %s (%s): %s\n", argv[1], parts[i], strerror(errno));
			return 111;
		}
	return 0;
}
