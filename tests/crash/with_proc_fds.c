/* Starts a program with its own /proc/self/fd as descriptor 7, as warden would. It must be opened by the process that
 * becomes the program, so it can't be inherited from a test (or from strace).
 *	with_proc_fds PROGRAM [ARGUMENT …] */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int
main(int argc, char *argv[])
{
	int fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY);

	if (argc < 2 || fd < 0 || dup2(fd, 7) < 0)
		return 100;
	(void)execv(argv[1], argv + 1);
	perror(argv[1]);
	return 111;
}
