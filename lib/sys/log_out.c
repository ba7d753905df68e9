/* Writing of the log.
 * Trusts nobody who shares the log: another writer may fill it, its reader may stop reading.
 * Never waits, never raises a signal, never changes a descriptor's flags for another process. */
#include "sys/log_out.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BESIDE_FD 256 /* above the numbers that a process's table may name */

enum kind {
	KIND_FILE,   /* a write does not wait */
	KIND_OWN,    /* our own O_NONBLOCK */
	KIND_SHARED, /* could not be opened again: whether there is room is asked before each write */
	KIND_SOCKET,
};

static struct {
	int fd;
	enum kind kind;
	bool torn; /* the last line was written in part */
	bool only_write;
	atomic_uint alone;    /* the count, where there is no memory to share */
	atomic_uint *dropped; /* shared with children */
} out = { .fd = STDERR_FILENO };

static void
share_count(void)
{
	void *page = mmap(NULL, sizeof *out.dropped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	out.dropped = page != MAP_FAILED ? page : &out.alone;
}

/* ENXIO, the answer where a pipe has no reader, leaves the shared descriptor: its writes fail at once. */
static void
open_again(enum log_out_place place)
{
	int own = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	out.kind = KIND_SHARED;
	if (own < 0)
		return;
	out.fd = place == LOG_OUT_BESIDE ? fcntl(own, F_DUPFD_CLOEXEC, BESIDE_FD) : dup2(own, STDERR_FILENO);
	(void)close(own);
	if (out.fd >= 0)
		out.kind = KIND_OWN;
	else
		out.fd = STDERR_FILENO;
}

static void
set_signals(void (*handler)(int))
{
	struct sigaction act = { .sa_handler = handler };

	(void)sigaction(SIGPIPE, &act, NULL);
	(void)sigaction(SIGXFSZ, &act, NULL);
}

void
log_out_open(enum log_out_place place)
{
	struct stat st;

	set_signals(SIG_IGN);
	share_count();
	if (fstat(STDERR_FILENO, &st) != 0)
		return;
	if (S_ISSOCK(st.st_mode))
		out.kind = KIND_SOCKET;
	else if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode))
		open_again(place);
}

void
log_out_usual_signals(void)
{
	set_signals(SIG_DFL);
}

void
log_out_only_write(void)
{
	out.only_write = true;
}

static bool
has_room(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0;
}

static ssize_t
write_now(struct bytes what)
{
	if (out.kind == KIND_SOCKET && !out.only_write)
		return send(out.fd, what.at, what.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (out.kind == KIND_SHARED && !out.only_write && !has_room(out.fd)) {
		errno = EAGAIN;
		return -1;
	}
	return write(out.fd, what.at, what.len);
}

static ssize_t
write_or_fall_back(struct bytes what)
{
	ssize_t n = write_now(what);

	if (n < 0 && errno == EINTR)
		n = write_now(what);
	if (n < 0 && errno == EBADF && out.fd != STDERR_FILENO) { /* a child that closed what is not for its program */
		out.fd = STDERR_FILENO;
		out.kind = KIND_SHARED;
		n = write_now(what);
	}
	return n;
}

bool
log_out_write(struct bytes lines)
{
	static const uint8_t line_end[] = { '\n' };
	int saved = errno;
	ssize_t n;

	if (out.torn && write_or_fall_back(bytes_of(line_end, 1)) == 1)
		out.torn = false;
	n = out.torn ? -1 : write_or_fall_back(lines);
	if (n > 0 && (size_t)n < lines.len)
		out.torn = true;
	errno = saved;
	return n == (ssize_t)lines.len;
}

void
log_out_count_dropped(unsigned n)
{
	(void)atomic_fetch_add(out.dropped != NULL ? out.dropped : &out.alone, n);
}

unsigned
log_out_take_dropped(void)
{
	atomic_uint *dropped = out.dropped != NULL ? out.dropped : &out.alone;

	return atomic_load_explicit(dropped, memory_order_relaxed) == 0 ? 0 : atomic_exchange(dropped, 0);
}
