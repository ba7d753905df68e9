/* Connections out.
 * Trusts its caller for the port; landlock bounds which there are.
 * Never has more than a few connections under way, and leaves none open but the one that it returns. */
#include "remote/dial.h"

#include "sys/clock.h"
#include "sys/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_START_MS 250
#define AT_ONCE 4

struct attempt {
	int fd;
	size_t which;
	uint64_t until;
};

struct race {
	const struct dial_wish *wish;
	struct host_address *list;
	size_t n;
	struct attempt runs[AT_ONCE];
	size_t n_runs;
	uint64_t next_ms;
	char last[HOST_ADDRESS_TEXT];
	int last_error;
};

union name {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t
name_of(const struct host_address *a, uint16_t port, union name *name)
{
	memset(name, 0, sizeof *name);
	if (a->len == 4) {
		name->v4.sin_family = AF_INET;
		name->v4.sin_port = htons(port);
		memcpy(&name->v4.sin_addr, a->octets, 4);
		return sizeof name->v4;
	}
	name->v6.sin6_family = AF_INET6;
	name->v6.sin6_port = htons(port);
	memcpy(&name->v6.sin6_addr, a->octets, 16);
	return sizeof name->v6;
}

static bool
bind_local(const struct race *c, const struct host_address *to, int fd)
{
	static const int on = 1;
	struct host_address local;
	union name name;
	socklen_t len;

	if (c->wish->local.len == 0 || !host_address_parse(c->wish->local, &local) || local.len != to->len)
		return true; /* of the other family: the kernel chooses */
	len = name_of(&local, 0, &name);
	(void)setsockopt(
	    fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on); /* chosen by connect, for that peer alone */
	return bind(fd, &name.any, len) == 0;
}

static void
note_failure(struct race *c, size_t which, int error)
{
	c->list[which].tried = true;
	c->last_error = error;
	host_address_print(&c->list[which], c->last);
}

/* Starts with one more address; true if it is connected at once. */
static bool
start(struct race *c, size_t which)
{
	static const int on = 1;
	struct host_address *a = &c->list[which];
	struct attempt *run = &c->runs[c->n_runs];
	union name name;
	socklen_t len = name_of(a, c->wish->port, &name);
	int fd = socket(a->len == 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	c->next_ms = clock_ms() + HEAD_START_MS;
	*run = (struct attempt){ fd, which, clock_ms() + c->wish->ms };
	if (fd < 0 || !bind_local(c, a, fd)) {
		note_failure(c, which, errno);
		fd_close(&fd);
		return false;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	c->n_runs++;
	if (connect(fd, &name.any, len) == 0)
		return true;
	if (errno == EINPROGRESS)
		return false;
	note_failure(c, which, errno);
	fd_close(&fd);
	c->n_runs--;
	return false;
}

static void
drop(struct race *c, size_t i)
{
	(void)close(c->runs[i].fd);
	c->runs[i] = c->runs[--c->n_runs];
}

static bool
find_next(const struct race *c, size_t *which)
{
	for (size_t i = 0; i < c->n; i++) {
		bool runs = c->list[i].tried;

		for (size_t k = 0; k < c->n_runs; k++)
			runs |= c->runs[k].which == i;
		if (!runs) {
			*which = i;
			return true;
		}
	}
	return false;
}

/* Waits a while; true: runs[*winner] is connected. */
static bool
look(struct race *c, uint64_t until, size_t *winner)
{
	struct pollfd p[AT_ONCE];
	uint64_t now = clock_ms();

	for (size_t i = 0; i < c->n_runs; i++) {
		p[i] = (struct pollfd){ c->runs[i].fd, POLLOUT, 0 };
		until = c->runs[i].until < until ? c->runs[i].until : until;
	}
	(void)poll(p, (nfds_t)c->n_runs, until > now ? (int)(until - now) : 0);
	now = clock_ms();
	for (size_t i = c->n_runs; i-- > 0;) {
		int error = 0;
		socklen_t len = sizeof error;

		if (p[i].revents == 0 && now < c->runs[i].until)
			continue;
		if (p[i].revents == 0)
			error = ETIMEDOUT;
		else if (getsockopt(p[i].fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
			error = errno;
		if (error == 0) {
			*winner = i;
			return true;
		}
		note_failure(c, c->runs[i].which, error);
		drop(c, i);
		c->next_ms = now; /* no reason to wait for the head start */
	}
	return false;
}

static enum result
win(struct race *c, size_t winner, size_t *which, int *fd)
{
	*which = c->runs[winner].which;
	*fd = c->runs[winner].fd;
	c->list[*which].tried = true;
	c->runs[winner] = c->runs[--c->n_runs];
	while (c->n_runs > 0)
		drop(c, 0);
	return OK;
}

enum result
dial(struct host_address *list, size_t n, const struct dial_wish *w, size_t *which, int *fd, struct why *why)
{
	struct race c = { .wish = w, .list = list, .n = n };
	size_t next, winner;

	for (;;) {
		bool more = c.n_runs < AT_ONCE && find_next(&c, &next);

		if (more && clock_ms() >= c.next_ms && start(&c, next))
			return win(&c, c.n_runs - 1, which, fd);
		if (c.n_runs == 0 && !find_next(&c, &next))
			break;
		if (c.n_runs > 0 && look(&c, more ? c.next_ms : UINT64_MAX, &winner))
			return win(&c, winner, which, fd);
		if (c.n_runs == 0)
			c.next_ms = 0;
	}
	return why_set(why, ABSENT, "connecting to %s port %u: %s", c.last[0] != '\0' ? c.last : "the host", w->port,
	    c.last_error != 0 ? strerrordesc_np(c.last_error) : "no address is left to try");
}
