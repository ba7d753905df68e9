/* Attempts on files and sockets, as somebody would make them who runs code inside a confined process.
 * Trusts the test that started it to aim them at things of its own.
 * Never part of a build that was not configured for it. */
#ifdef POSTERN_DRILL
#include "sys/drill_rows.h"

#include "base/bytes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static long
open_passwd(void)
{
	return syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY);
}

static long
open_file_of_root(void)
{
	return syscall(SYS_openat, AT_FDCWD, drill_aim("DRILL_FILE"), O_RDONLY);
}

static long
open_by_openat2(void)
{
	uint64_t how[3] = { O_RDONLY, 0, 0 };

	return syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", how, sizeof how);
}

static long
open_queue(void)
{
	return syscall(SYS_openat, AT_FDCWD, drill_aim("DRILL_QUEUE"), O_RDONLY | O_DIRECTORY);
}

static long
make_file_in_root(void)
{
	return syscall(SYS_openat, AT_FDCWD, "/", O_WRONLY | O_TMPFILE, 0600);
}

static long
make_file_here(void)
{
	return syscall(SYS_openat, AT_FDCWD, ".", O_WRONLY | O_TMPFILE, 0600);
}

/* what belongs to its user, beside what it is for; it was there before */
static long
open_file_here(void)
{
	return syscall(SYS_openat, AT_FDCWD, "mail", O_RDONLY);
}

static long
list_root(void)
{
	char names[4096];
	long fd = syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY);

	return fd < 0 ? fd : syscall(SYS_getdents64, fd, names, sizeof names);
}

static long
open_memory_of_sibling(void)
{
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/%d/mem", drill_aim_number("DRILL_PID"));
	return syscall(SYS_openat, AT_FDCWD, path, O_RDWR);
}

/* A directory that was opened outside the root leads out of it, unless landlock stands there. */
static long
walk_out_by_descriptor(void)
{
	errno = EBADF;
	for (const struct fd_slot *s = drill_self->may->fds;
	     s < drill_self->may->fds + nitems(drill_self->may->fds) && s->name != NULL; s++) {
		long fd = s->kind == FD_PROC_FDS || s->kind == FD_DIRECTORY
		    ? syscall(SYS_openat, s->fd, "../../../../etc/passwd", O_RDONLY)
		    : -1;

		if (fd >= 0)
			return fd;
	}
	return -1;
}

static long
rename_passwd(void)
{
	return syscall(SYS_renameat, AT_FDCWD, "/etc/passwd-drill", AT_FDCWD, "/etc/passwd-drill2");
}

static long
unlink_file_of_root(void)
{
	return syscall(SYS_unlinkat, AT_FDCWD, drill_aim("DRILL_FILE"), 0);
}

static long
write_control(void)
{
	return drill_self->may->fds[0].kind == FD_CONTROL ? write(CONTROL_FD, "relay", 5) : (errno = EBADF, -1);
}

static long
map_control(void)
{
	if (drill_self->may->fds[0].kind != FD_CONTROL)
		return errno = EBADF, -1;
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, CONTROL_FD, 0) == MAP_FAILED ? -1 : 0;
}

/* ---- sockets ---- */

static long
connect_inet(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	long fd = syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);

	to.sin_port = htons((uint16_t)drill_aim_number("DRILL_PORT"));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return fd < 0 ? fd : syscall(SYS_connect, fd, &to, sizeof to);
}

static long
socket_of(int family, int type)
{
	return syscall(SYS_socket, family, type, 0);
}

static long
socket_udp6(void)
{
	return socket_of(AF_INET6, SOCK_DGRAM);
}

/* Landlock knows ports of TCP and of no other protocol; and of TCP only connect. */
static long
connect_inet_by_fast_open(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)drill_aim_number("DRILL_PORT")),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	long fd = syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);

	return fd < 0 ? fd : syscall(SYS_sendto, fd, "x", 1, MSG_FASTOPEN, &to, sizeof to);
}

static long
connect_inet_by_multipath(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)drill_aim_number("DRILL_PORT")),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	long fd = syscall(SYS_socket, AF_INET, SOCK_STREAM, IPPROTO_MPTCP);

	return fd < 0 ? fd : syscall(SYS_connect, fd, &to, sizeof to);
}

/* protocols within IPv4 that some kernel has, whatever their type */
#define SOCKET_OF(name, type, protocol) \
	static long name(void) \
	{ \
		return syscall(SYS_socket, AF_INET, type, protocol); \
	}
SOCKET_OF(socket_ping, SOCK_DGRAM, IPPROTO_ICMP)
SOCKET_OF(socket_raw, SOCK_RAW, IPPROTO_RAW)
SOCKET_OF(socket_udplite, SOCK_DGRAM, IPPROTO_UDPLITE)
SOCKET_OF(socket_sctp, SOCK_STREAM, IPPROTO_SCTP)
SOCKET_OF(socket_dccp, SOCK_DCCP, IPPROTO_DCCP)
SOCKET_OF(socket_smc, SOCK_STREAM, 256)

static long
send_from_device(void)
{
	return syscall(SYS_setsockopt, -1, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2);
}

static long
socket_netlink(void)
{
	return socket_of(AF_NETLINK, SOCK_RAW);
}

static long
socket_packet(void)
{
	return socket_of(AF_PACKET, SOCK_RAW);
}

static struct sockaddr_un
door(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	(void)snprintf(to.sun_path, sizeof to.sun_path, "%s", drill_aim("DRILL_DOOR"));
	return to;
}

static long
connect_door(void)
{
	struct sockaddr_un to = door();
	long fd = syscall(SYS_socket, AF_UNIX, SOCK_DGRAM, 0);

	return fd < 0 ? fd : syscall(SYS_connect, fd, &to, sizeof to);
}

/* by a datagram socket that it has: to a name that it was not connected to */
static long
send_to_door(void)
{
	struct sockaddr_un to = door();

	errno = EBADF;
	for (const struct fd_slot *s = drill_self->may->fds;
	     s < drill_self->may->fds + nitems(drill_self->may->fds) && s->name != NULL; s++)
		if ((s->kind == FD_DOOR || s->kind == FD_DOORWAY) &&
		    syscall(SYS_sendto, s->fd, "x", 1, MSG_NOSIGNAL, &to, sizeof to) >= 0)
			return 0;
	return -1;
}

static long
send_to_door_by_pair(void)
{
	struct sockaddr_un to = door();
	int pair[2];

	if (syscall(SYS_socketpair, AF_UNIX, SOCK_DGRAM, 0, pair) != 0)
		return -1;
	return syscall(SYS_sendto, pair[0], "x", 1, MSG_NOSIGNAL, &to, sizeof to);
}

static long
pair_of_tipc(void)
{
	int pair[2];

	return syscall(SYS_socketpair, AF_TIPC, SOCK_SEQPACKET, 0, pair);
}

const struct drill_row drill_on_files[] = {
	{ "open_passwd", open_passwd, 0 },
	{ "open_file_of_root", open_file_of_root, 0 },
	{ "open_by_openat2", open_by_openat2, 0 },
	{ "open_queue", open_queue, 0 },
	{ "make_file_in_root", make_file_in_root, 0 },
	{ "make_file_here", make_file_here, 0 },
	{ "open_file_here", open_file_here, 0 },
	{ "list_root", list_root, 0 },
	{ "open_memory_of_sibling", open_memory_of_sibling, 0 },
	{ "walk_out_by_descriptor", walk_out_by_descriptor, 0 },
	{ "rename_passwd", rename_passwd, 0 },
	{ "unlink_file_of_root", unlink_file_of_root, 0 },
	{ "write_control", write_control, 0 },
	{ "map_control", map_control, 0 },
	{ "connect_inet", connect_inet, 0 },
	{ "connect_inet_by_fast_open", connect_inet_by_fast_open, 0 },
	{ "connect_inet_by_multipath", connect_inet_by_multipath, 0 },
	{ "socket_udp6", socket_udp6, 0 },
	{ "socket_ping", socket_ping, 0 },
	{ "socket_raw", socket_raw, 0 },
	{ "socket_udplite", socket_udplite, 0 },
	{ "socket_sctp", socket_sctp, 0 },
	{ "socket_dccp", socket_dccp, 0 },
	{ "socket_smc", socket_smc, 0 },
	{ "send_from_device", send_from_device, 0 },
	{ "socket_netlink", socket_netlink, 0 },
	{ "socket_packet", socket_packet, 0 },
	{ "connect_door", connect_door, 0 },
	{ "send_to_door", send_to_door, 0 },
	{ "send_to_door_by_pair", send_to_door_by_pair, 0 },
	{ "pair_of_tipc", pair_of_tipc, 0 },
	{ NULL, NULL, 0 },
};
#endif
