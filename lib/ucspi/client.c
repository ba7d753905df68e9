/* Connecting for a program.
 * Trusts whoever starts it for whom to connect to; names are asked for by lookup.h.
 * Never reads from the connection. */
#include "ucspi/client.h"

#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define EXIT_TROUBLE 111

static void
bind_local(const struct client_options *o, int fd, unsigned len)
{
	struct address here = { .len = (uint8_t)len };
	struct sockaddr_storage at;
	socklen_t at_len;

	if (o->local_ip == NULL && o->local_port == NULL)
		return;
	if (o->local_ip != NULL && (!address_parse(o->local_ip, &here) || here.len != len))
		say_die(EXIT_TROUBLE, "%s is no local address for this connection", o->local_ip);
	here.port = o->local_port == NULL ? 0 : options_port(o->local_port);
	at_len = address_to(&here, &at);
	if (bind(fd, (const struct sockaddr *)&at, at_len) != 0)
		say_die(EXIT_TROUBLE, "unable to bind socket: %s", strerror(errno));
}

/* -1 with errno: not within so many seconds. */
static int
try_address(const struct client_options *o, const struct address *to, unsigned seconds)
{
	int fd = socket(to->len == 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd p = { fd, POLLOUT, 0 };
	struct sockaddr_storage at;
	socklen_t len = address_to(to, &at);
	int error = 0;

	if (fd < 0)
		return -1;
	bind_local(o, fd, to->len);
	if (connect(fd, (const struct sockaddr *)&at, len) != 0)
		error = errno;
	if (error == EINPROGRESS) {
		len = sizeof error;
		if (poll(&p, 1, (int)seconds * 1000) <= 0)
			error = ETIMEDOUT;
		else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
			error = errno;
	}
	if (error == 0 && fd_set_nonblocking(fd, false) == OK)
		return fd;
	(void)close(fd);
	errno = error;
	return -1;
}

static int
try_all(const struct client_options *o, const struct address *all, size_t n, struct ends *e)
{
	unsigned rounds[2] = { o->first_seconds, o->second_seconds };
	int fd;

	if (n == 1) {
		rounds[0] += rounds[1];
		rounds[1] = 0;
	}
	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; k < n && rounds[i] > 0; k++)
			if ((fd = try_address(o, &all[k], rounds[i])) >= 0) {
				e->remote = all[k];
				return fd;
			}
	return -1;
}

static size_t
find_host(const struct client_options *o, const struct lookup *l, struct address all[LOOKUP_ADDRESSES_MAX])
{
	const char *host = o->host[0] == '\0' || strcmp(o->host, "0") == 0 ? "127.0.0.1" : o->host;
	uint16_t port = options_port(o->port);
	size_t n;

	lookup_addresses(l, host, o->only_ipv4 ? AF_INET : o->only_ipv6 ? AF_INET6 : AF_UNSPEC, all, &n);
	for (size_t i = 0; i < n; i++) {
		all[i].port = port;
		if (o->interface != NULL && all[i].len == 16)
			all[i].scope = if_nametoindex(o->interface);
	}
	if (n == 0)
		say_die(EXIT_TROUBLE, "no IP address for %s", host);
	return n;
}

int
client_connect(const struct client_options *o, bool tls, struct ends *e)
{
	struct lookup l = lookup_as(0, 0, o->ident_seconds);
	struct ends_wanted wanted = { o->local_name, o->look_up_name, false, o->ask_ident };
	struct address all[LOOKUP_ADDRESSES_MAX];
	size_t n = find_host(o, &l, all);
	int on = 1, fd = try_all(o, all, n, e);

	if (fd < 0)
		say_die(EXIT_TROUBLE, "unable to connect to %s port %s: %s", o->host, o->port, strerror(errno));
	if (!o->delay)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (!ends_find(e, fd, false))
		say_die(EXIT_TROUBLE, "the connection has gone");
	say_status("connected to %s port %u", e->remote_text, e->remote.port);
	ends_look_up(e, &l, &wanted);
	environment_set(e, tls, !tls || o->tcp_variables);
	return fd;
}

void
client_execute(const struct client_options *o, int in, int out)
{
	int from = fcntl(in, F_DUPFD_CLOEXEC, CLIENT_WRITE_FD + 1),
	    to = fcntl(out, F_DUPFD_CLOEXEC, CLIENT_WRITE_FD + 1);

	if (from < 0 || to < 0 || dup2(from, CLIENT_READ_FD) < 0 || dup2(to, CLIENT_WRITE_FD) < 0)
		say_die(EXIT_TROUBLE, "unable to set up descriptors: %s", strerror(errno));
	(void)signal(SIGPIPE, SIG_DFL);
	(void)execvp(o->program[0], o->program);
	say_die(EXIT_TROUBLE, "unable to run %s: %s", o->program[0], strerror(errno));
}
