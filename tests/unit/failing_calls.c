/* System calls that fail on purpose.
 * Trusts the linker's --wrap to lead the calls of our own code here.
 * Never fails one that was not asked for, or one of another process. */
#include "failing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>

static enum failing_call what;
static unsigned countdown;
static int with;
static bool alone, *failed = &alone; /* shared with children, if that was asked for */

void
fail_call(enum failing_call call, unsigned n, int error)
{
	what = call;
	countdown = n;
	with = error;
}

void
fail_calls_of_children(void)
{
	if (failed == &alone)
		failed = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (failed == MAP_FAILED)
		abort();
}

bool
call_failed(void)
{
	bool was = *failed;

	*failed = false;
	return was;
}

static bool
must_fail(enum failing_call call)
{
	if (countdown == 0 || call != what || --countdown > 0)
		return false;
	*failed = true;
	errno = with;
	return true;
}

#define WRAP(type, name, call, parameters, arguments) \
	type __real_##name parameters; \
	type __wrap_##name parameters; \
	type __wrap_##name parameters \
	{ \
		return must_fail(call) ? -1 : __real_##name arguments; \
	}

WRAP(ssize_t, write, FAIL_WRITE, (int fd, const void *at, size_t len), (fd, at, len))
WRAP(ssize_t, pread, FAIL_PREAD, (int fd, void *at, size_t len, off_t from), (fd, at, len, from))
WRAP(int, fsync, FAIL_FSYNC, (int fd), (fd))
WRAP(int, syncfs, FAIL_SYNCFS, (int fd), (fd))
WRAP(int, sync_file_range, FAIL_SYNC_FILE_RANGE, (int fd, off_t from, off_t n, unsigned how), (fd, from, n, how))
WRAP(int, mkdirat, FAIL_MKDIRAT, (int fd, const char *name, mode_t mode), (fd, name, mode))
WRAP(int, unlinkat, FAIL_UNLINKAT, (int fd, const char *name, int flags), (fd, name, flags))
WRAP(int, renameat2, FAIL_RENAMEAT2, (int fd, const char *name, int to, const char *other, unsigned flags),
    (fd, name, to, other, flags))

int __real_openat(int fd, const char *name, int flags, ...);
int __wrap_openat(int fd, const char *name, int flags, ...);
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

int
__wrap_openat(int fd, const char *name, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	va_start(ap, flags);
	if (flags & (O_CREAT | O_TMPFILE))
		mode = va_arg(ap, mode_t);
	va_end(ap);
	return must_fail(FAIL_OPENAT) ? -1 : __real_openat(fd, name, flags, mode);
}

long
__wrap_syscall(long number, ...)
{
	long a[6];
	va_list ap;

	va_start(ap, number);
	for (size_t i = 0; i < 6; i++)
		a[i] = va_arg(ap, long); /* more than were given are not looked at */
	va_end(ap);
	return must_fail(FAIL_SYSCALL) ? -1 : __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
