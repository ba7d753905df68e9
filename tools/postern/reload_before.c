/* The change from a warden that can't execute its next version.
 * Trusts the run directory for the pid of the warden, and the kernel for its descriptors.
 * Never uses the sockets that it holds: they only stay open. */
#include "postern/reload_before.h"

#include "base/bytes.h"
#include "house/taken.h"
#include "sys/fd.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool
listens(int fd)
{
	int value = 0;
	socklen_t len = sizeof value;

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len) == 0 && value != 0;
}

static enum result
duplicate_all(int pidfd, pid_t warden, int fds[SOCKETS_MAX], size_t *n, struct why *why)
{
	char path[64];
	struct dirent *e;
	DIR *d;

	(void)snprintf(path, sizeof path, "/proc/%d/fd", (int)warden);
	d = opendir(path);
	if (d == NULL)
		return why_errno(why, BROKEN, "reading %s", path);
	while ((e = readdir(d)) != NULL && *n < SOCKETS_MAX) {
		uint64_t number;
		int fd = -1;

		if (bytes_to_number(bytes_of_string(e->d_name), INT32_MAX, &number) && number > 2)
			fd = (int)syscall(SYS_pidfd_getfd, pidfd, (int)number, 0);

		if (fd >= 0 && listens(fd))
			fds[(*n)++] = fd;
		else if (fd >= 0)
			(void)close(fd);
	}
	(void)closedir(d);
	return OK;
}

static enum result
replace(const char *run, const char *service, int pidfd, const int *fds, size_t n, unsigned seconds, struct why *why)
{
	char path[512];
	int offer = -1;
	enum result r = taken_prepare(run, service, &offer, why);

	if (r != OK)
		return r;
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0) != 0)
		r = why_errno(why, BROKEN, "ending the warden of %s", service);
	else
		r = taken_offer(offer, fds, n, seconds * 1000, why);
	(void)close(offer);
	(void)snprintf(path, sizeof path, "%s/%s.sockets", run, service);
	(void)unlink(path);
	return r;
}

enum result
reload_before(const char *run, const char *service, pid_t warden, unsigned seconds, struct why *why)
{
	int fds[SOCKETS_MAX], pidfd = (int)syscall(SYS_pidfd_open, warden, 0);
	size_t n = 0;
	enum result r;

	if (pidfd < 0)
		return why_errno(why, errno == ESRCH ? ABSENT : BROKEN, "the warden of %s", service);
	r = duplicate_all(pidfd, warden, fds, &n, why);
	if (r == OK && n > 0)
		r = replace(run, service, pidfd, fds, n, seconds, why);
	else if (r == OK && syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0) != 0)
		r = why_errno(why, BROKEN, "ending the warden of %s", service);
	for (size_t i = 0; i < n; i++)
		(void)close(fds[i]);
	(void)close(pidfd);
	return r;
}
