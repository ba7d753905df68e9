/* Starts a program with one process's sealed configuration as descriptor 3, as warden would: for tests that start a
 * process by itself.
 *	with_control ETC SERVICE PROCESS PROGRAM [ARGUMENT …]
 * Trusts the test. Other descriptors stay as they are. */
#include "control/source.h"
#include "sys/privileges.h"

#include <stdio.h>
#include <unistd.h>

int
main(int argc, char *argv[])
{
	struct control_from from = { 0 };
	struct control_source source;
	struct why why = WHY_NONE;
	enum result r;
	int fd = -1;

	if (argc < 5)
		return 100;
	from.etc = argv[1];
	from.service = argv[2];
	from.readers = control_reader_of(argv[3]);
	r = control_read(&source, &from, &why);
	if (r == OK)
		r = control_seal(&source, argv[3], &fd, &why);
	control_forget(&source);
	if (r != OK || dup2(fd, CONTROL_FD) < 0) {
		(void)fprintf(stderr, "%s\n", why.text);
		return 111;
	}
	(void)execv(argv[4], argv + 4);
	perror(argv[4]);
	return 111;
}
