/* Descriptors.
 * Trusts the kernel.
 * Never takes part of a write for the whole, never retries a failed flush. */
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

void
fd_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static enum result
write_error(void)
{
	return errno == EPIPE || errno == ECONNRESET ? ABSENT : result_of_errno(errno);
}

enum result
fd_write_all(int fd, struct bytes what)
{
	while (what.len > 0) {
		ssize_t n = write(fd, what.at, what.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return write_error();
		what = bytes_skip(what, (size_t)n);
	}
	return OK;
}

enum result
fd_pwrite_all(int fd, struct bytes what, off_t at)
{
	while (what.len > 0) {
		ssize_t n = pwrite(fd, what.at, what.len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return write_error();
		what = bytes_skip(what, (size_t)n);
		at += n;
	}
	return OK;
}

enum result
fd_pread_all(int fd, void *into, size_t max, off_t at, size_t *n)
{
	*n = 0;
	while (*n < max) {
		ssize_t got = pread(fd, (uint8_t *)into + *n, max - *n, at + (off_t)*n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return result_of_errno(errno);
		if (got == 0)
			break;
		*n += (size_t)got;
	}
	return OK;
}

#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

enum result
fd_seal(int fd, struct why *why)
{
	if (fcntl(fd, F_ADD_SEALS, SEALS) != 0)
		return why_errno(why, BROKEN, "sealing a memory file");
	return OK;
}

bool
fd_is_sealed(int fd)
{
	return (fcntl(fd, F_GET_SEALS) & SEALS) == SEALS;
}

enum result
fd_reopen_read_only(int *fd, struct why *why)
{
	char path[64];
	int again;

	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", *fd);
	again = open(path, O_RDONLY | O_CLOEXEC);
	if (again < 0)
		return why_errno(why, BROKEN, "reopening a memory file");
	fd_close(fd);
	*fd = again;
	return OK;
}

bool
fd_is_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

uint64_t
fd_free_space(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 ? (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize : 0;
}

enum result
fd_set_nonblocking(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) != 0)
		return BROKEN;
	return OK;
}
