/* Attempts on a message's content that is being written, as somebody would make them who runs code inside a process that
 * holds its descriptor: what was written before must stay as it is.
 * Trusts the test to have sent the descriptor into the process's channels and doorways.
 * Never part of a build that was not configured for it. */
#ifdef POSTERN_DRILL
#include "sys/drill_rows.h"

#include "base/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int
receive_from(int channel)
{
	char octets[64];
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = { 0 } };
	struct iovec io = { octets, sizeof octets };
	struct msghdr m = {
		.msg_iov = &io, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room
	};
	int fd = -1;

	if (syscall(SYS_recvmsg, channel, &m, MSG_DONTWAIT) > 0 && m.msg_controllen >= CMSG_LEN(sizeof fd))
		memcpy(&fd, CMSG_DATA(&control.head), sizeof fd);
	return fd;
}

/* -1: this process never holds one, or has not got one. */
static int
content(void)
{
	const struct privileges *may = drill_self->may;
	int fd = -1;

	for (const struct fd_slot *s = may->fds; s < may->fds + nitems(may->fds) && s->name != NULL && fd < 0; s++)
		if ((may->holds & HOLDS_WRITERS) && (s->kind == FD_CHANNEL || s->kind == FD_DOORWAY))
			fd = receive_from(s->fd);
	if (fd < 0)
		errno = EBADF;
	return fd;
}

/* Not an attack: it shows that the attempts below have what they are about. */
static long
write_on_content(void)
{
	int fd = content();

	return fd < 0 ? -1 : syscall(SYS_write, fd, "x", 1);
}

static long
seek_in_content(void)
{
	int fd = content();

	return fd < 0 ? -1 : syscall(SYS_lseek, fd, 0, SEEK_SET);
}

static long
write_into_content(void)
{
	int fd = content();

	return fd < 0 ? -1 : syscall(SYS_pwrite64, fd, "x", 1, 0);
}

static long
cut_content(void)
{
	int fd = content();

	return fd < 0 ? -1 : syscall(SYS_ftruncate, fd, 1);
}

static long
punch_content(void)
{
	int fd = content();

	return fd < 0 ? -1 : syscall(SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096);
}

static long
change_flags_of_content(void)
{
	int fd = content();

	return fd < 0 ? -1 : syscall(SYS_fcntl, fd, F_SETFL, O_APPEND);
}

static long
map_content(void)
{
	int fd = content();

	return fd < 0 || mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0;
}

static long
copy_into_content(void)
{
	int fd = content();
	loff_t from = 0, to = 0;

	return fd < 0 ? -1 : syscall(SYS_copy_file_range, fd, &from, fd, &to, 1, 0);
}

static long
splice_into_content(void)
{
	int fd = content();
	loff_t to = 0;

	return fd < 0 ? -1 : syscall(SYS_splice, 2, NULL, fd, &to, 1, 0);
}

#define ROW(name) \
	{ \
#name, name, 0 \
	}
const struct drill_row drill_on_content[] = {
	ROW(write_on_content),
	ROW(seek_in_content),
	ROW(write_into_content),
	ROW(cut_content),
	ROW(punch_content),
	ROW(change_flags_of_content),
	ROW(map_content),
	ROW(copy_into_content),
	ROW(splice_into_content),
	{ NULL, NULL, 0 },
};
#endif
