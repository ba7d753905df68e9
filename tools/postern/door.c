/* Doors of running services.
 * Trusts the run directory, which is root's.
 * Never waits. */
#include "postern/door.h"

#include "sys/fd.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

enum result
admin_door(const char *run, const char *door, const char *service, int *fd, struct why *why)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int n = snprintf(un.sun_path, sizeof un.sun_path, "%s/%s", run, door);
	enum result r;

	*fd = -1;
	if (n < 0 || (size_t)n >= sizeof un.sun_path)
		return why_set(why, MALFORMED, "%s is too long", run);
	*fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (*fd >= 0 && connect(*fd, (const struct sockaddr *)&un, sizeof un) == 0)
		return OK;
	r = why_errno(why, errno == ECONNREFUSED || errno == ENOENT ? AGAIN : result_of_errno(errno),
	    "%s (is the service `%s` up?)", un.sun_path, service);
	fd_close(fd);
	return r;
}
