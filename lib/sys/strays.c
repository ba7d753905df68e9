/* What programs leave behind.
 * Trusts the kernel's list of who its children are: as their subreaper it is given those whose parents have ended.
 * Never ends what still belongs to a program that runs. */
#include "sys/strays.h"

#include "base/bytes.h"
#include "sys/fd.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#define LIST_MAX 16384

void
strays_end(bool (*is_known)(const void *ctx, pid_t pid, pid_t group), const void *ctx)
{
	char text[LIST_MAX];
	int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text);
	struct bytes rest = bytes_of(text, n > 0 ? (size_t)n : 0), one;
	uint64_t pid;

	rest = bytes_first(rest, bytes_find_last(rest, ' ')); /* a number that was cut is somebody else's */

	fd_close(&fd);
	while (rest.len > 0 && bytes_split(&rest, ' ', &one))
		if (bytes_to_number(one, INT32_MAX, &pid) && pid > 1 && !is_known(ctx, (pid_t)pid, getpgid((pid_t)pid)))
			(void)kill((pid_t)pid, SIGKILL);
}
