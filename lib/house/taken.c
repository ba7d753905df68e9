/* Handing over of listening sockets between two wardens.
 * Trusts the run directory, which is root's: nobody else can bind or connect to a socket of mode 0600 there.
 * Never keeps what does not listen, never waits for who offers. */
#include "house/taken.h"

#include "sys/fd.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

union room {
	struct cmsghdr head;
	char octets[CMSG_SPACE(sizeof(int) * SOCKETS_MAX)];
};

static bool
name(struct sockaddr_un *un, const char *run, const char *service)
{
	int n = snprintf(un->sun_path, sizeof un->sun_path, "%s/%s.sockets", run, service);

	un->sun_family = AF_UNIX;
	return n > 0 && (size_t)n < sizeof un->sun_path;
}

static void
keep_all(struct sockets *s, const struct cmsghdr *c)
{
	int fds[SOCKETS_MAX];
	size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof fds[0];

	memcpy(fds, CMSG_DATA(c), n * sizeof fds[0]);
	for (size_t i = 0; i < n; i++)
		if (s->n_listening < SOCKETS_MAX && sockets_adopt(fds[i], &s->listening[s->n_listening]))
			s->n_listening++;
		else
			(void)close(fds[i]);
}

void
taken_collect(struct sockets *s, const struct instance *in)
{
	struct sockaddr_un un = { 0 };
	union room room = { 0 };
	char octet;
	struct iovec v = { &octet, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = room.octets, .msg_controllen = sizeof room };
	static const struct timeval limit = { 5, 0 };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	if (name(&un, in->run, in->service) && connect(fd, (const struct sockaddr *)&un, sizeof un) == 0 &&
	    recvmsg(fd, &m, MSG_CMSG_CLOEXEC) == 1)
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c))
			if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
				keep_all(s, c);
	(void)close(fd);
}

enum result
taken_prepare(const char *run, const char *service, int *offer, struct why *why)
{
	struct sockaddr_un un = { 0 };

	if (!name(&un, run, service))
		return why_set(why, MALFORMED, "%s is too long", run);
	*offer = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	(void)unlink(un.sun_path);
	if (*offer < 0 || bind(*offer, (const struct sockaddr *)&un, sizeof un) != 0 || chmod(un.sun_path, 0600) != 0 ||
	    listen(*offer, 1) != 0) {
		enum result r = why_errno(why, BROKEN, "making %s", un.sun_path);

		fd_close(offer);
		return r;
	}
	return OK;
}

enum result
taken_offer(int offer, const int *fds, size_t n, unsigned ms, struct why *why)
{
	union room room = { 0 };
	char octet = 0;
	struct iovec v = { &octet, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = room.octets };
	struct pollfd p = { .fd = offer, .events = POLLIN };
	int to;
	ssize_t sent;

	if (poll(&p, 1, (int)ms) != 1)
		return why_set(why, AGAIN, "nobody took the sockets within %u s", ms / 1000);
	to = accept4(offer, NULL, NULL, SOCK_CLOEXEC);
	if (to < 0)
		return why_errno(why, BROKEN, "handing over the sockets");
	m.msg_controllen = CMSG_SPACE(n * sizeof fds[0]);
	room.head = (struct cmsghdr){ CMSG_LEN(n * sizeof fds[0]), SOL_SOCKET, SCM_RIGHTS };
	memcpy(CMSG_DATA(&room.head), fds, n * sizeof fds[0]);
	sent = sendmsg(to, &m, MSG_NOSIGNAL);
	(void)close(to);
	return sent == 1 ? OK : why_errno(why, BROKEN, "handing over the sockets");
}
