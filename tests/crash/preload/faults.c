/* A library put before libc: lets the n-th call of a process fail, or end the process just before it, when a test says so.
 * The test and this library share one page of memory (descriptor 250 at the start), so it works under the process's own
 * confinement, which strace's injection does not survive (it makes the call number -1).
 * Never fails anything before it is armed. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#define SHARED_FD 250

/* as tests/crash/house.py has them */
enum call {
	OPENAT,
	LINKAT,
	RENAMEAT,
	UNLINKAT,
	PWRITE,
	PREAD,
	FTRUNCATE,
	FSTAT,
	LEASE,
	DUP,
	FSYNC,
	SYNCFS,
	LSEEK,
	FSTATFS,
	SENDMSG,
	RECVMSG,
	CLOSE,
	WRITE,
	READ,
	EPOLL,
	MALLOC,
	SYNCRANGE,
	N_CALLS
};

struct shared {
	_Atomic uint32_t armed;    /* 1 << enum call, or-ed */
	_Atomic int32_t countdown; /* the call that takes it to 0 */
	_Atomic int32_t error;     /* fails with this; 0: the process ends instead */
	_Atomic int32_t always;    /* 1: all later ones too */
	_Atomic int32_t fired;     /* enum call + 1 */
};

static struct shared none, *shared = &none;

__attribute__((constructor)) static void
begin(void)
{
	void *page = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, SHARED_FD, 0);

	if (page != MAP_FAILED)
		shared = page;
}

static int
must_fail(enum call c)
{
	int32_t left;

	if (!(atomic_load(&shared->armed) & 1u << c))
		return 0;
	left = atomic_fetch_sub(&shared->countdown, 1);
	if (left != 1 && !(left < 1 && atomic_load(&shared->always)))
		return 0;
	atomic_store(&shared->fired, (int32_t)c + 1);
	if (atomic_load(&shared->error) == 0)
		__builtin_trap();
	errno = atomic_load(&shared->error);
	return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define PASS(type, name, call, parameters, arguments) \
	type name parameters \
	{ \
		static _Atomic(void *) real; \
		if (atomic_load(&real) == NULL) \
			atomic_store(&real, dlsym(RTLD_NEXT, #name)); \
		if (must_fail(call)) \
			return -1; \
		return ((type(*) parameters)atomic_load(&real))arguments; \
	}

int __openat_2(int dir, const char *name, int flags);

int
openat(int dir, const char *name, int flags, ...)
{
	static _Atomic(void *) real;
	mode_t mode = 0;
	va_list ap;

	va_start(ap, flags);
	if (flags & (O_CREAT | __O_TMPFILE))
		mode = va_arg(ap, mode_t);
	va_end(ap);
	if (atomic_load(&real) == NULL)
		atomic_store(&real, dlsym(RTLD_NEXT, "openat"));
	if (must_fail(OPENAT))
		return -1;
	return ((int (*)(int, const char *, int, mode_t))atomic_load(&real))(dir, name, flags, mode);
}

int
fcntl(int fd, int what, ...)
{
	static _Atomic(void *) real;
	void *argument;
	va_list ap;

	va_start(ap, what);
	argument = va_arg(ap, void *);
	va_end(ap);
	if (atomic_load(&real) == NULL)
		atomic_store(&real, dlsym(RTLD_NEXT, "fcntl"));
	if ((what == F_SETLEASE && must_fail(LEASE)) || (what == F_DUPFD_CLOEXEC && must_fail(DUP)))
		return -1;
	return ((int (*)(int, int, void *))atomic_load(&real))(fd, what, argument);
}

PASS(int, __openat_2, OPENAT, (int dir, const char *name, int flags), (dir, name, flags))
PASS(int, linkat, LINKAT, (int a, const char *b, int c, const char *d, int e), (a, b, c, d, e))
PASS(int, renameat, RENAMEAT, (int a, const char *b, int c, const char *d), (a, b, c, d))
PASS(int, renameat2, RENAMEAT, (int a, const char *b, int c, const char *d, unsigned e), (a, b, c, d, e))
PASS(int, unlinkat, UNLINKAT, (int a, const char *b, int c), (a, b, c))
PASS(ssize_t, pwrite, PWRITE, (int a, const void *b, size_t c, off_t d), (a, b, c, d))
PASS(ssize_t, pread, PREAD, (int a, void *b, size_t c, off_t d), (a, b, c, d))
PASS(int, ftruncate, FTRUNCATE, (int a, off_t b), (a, b))
PASS(int, fstat, FSTAT, (int a, struct stat *b), (a, b))
PASS(int, fsync, FSYNC, (int a), (a))
PASS(int, syncfs, SYNCFS, (int a), (a))
PASS(int, sync_file_range, SYNCRANGE, (int a, off_t b, off_t c, unsigned d), (a, b, c, d))
PASS(off_t, lseek, LSEEK, (int a, off_t b, int c), (a, b, c))
PASS(int, fstatfs, FSTATFS, (int a, struct statfs *b), (a, b))
PASS(ssize_t, sendmsg, SENDMSG, (int a, const struct msghdr *b, int c), (a, b, c))
PASS(ssize_t, recvmsg, RECVMSG, (int a, struct msghdr *b, int c), (a, b, c))
PASS(int, close, CLOSE, (int a), (a))
PASS(ssize_t, write, WRITE, (int a, const void *b, size_t c), (a, b, c))
PASS(ssize_t, read, READ, (int a, void *b, size_t c), (a, b, c))
PASS(int, epoll_ctl, EPOLL, (int a, int b, int c, struct epoll_event *d), (a, b, c, d))

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

void *
malloc(size_t size)
{
	return must_fail(MALLOC) ? NULL : __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
	return must_fail(MALLOC) ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *old, size_t size)
{
	return must_fail(MALLOC) ? NULL : __libc_realloc(old, size);
}
