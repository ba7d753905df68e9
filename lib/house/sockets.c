/* Binding and keeping of sockets.
 * Trusts the checked form of the control item `listen`.
 * Never reads from a socket; never closes one that is still wanted, so no connection is refused in a change. */
#include "house/sockets.h"

#include "base/buf.h"
#include "sys/fd.h"
#include "house/house.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 1024

static enum result
bind_unix(int fd, const char *path, mode_t mode, struct why *why)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct stat st;

	if (strlen(path) >= sizeof un.sun_path)
		return why_set(
		    why, MALFORMED, "%s: expected a path of at most %zu octets", path, sizeof un.sun_path - 1);
	(void)snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
	if (lstat(path, &st) == 0 && (!S_ISSOCK(st.st_mode) || unlink(path) != 0))
		return why_set(why, REFUSED, "%s is in the way", path);
	if (bind(fd, (const struct sockaddr *)&un, sizeof un) != 0)
		return why_errno(why, REFUSED, "binding %s", path);
	if (chmod(path, mode) != 0)
		return why_errno(why, REFUSED, "setting the mode of %s", path);
	return OK;
}

static enum result
bind_inet(int fd, const struct endpoint *e, bool both, const char *name, struct why *why)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(e->port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(e->port) };
	const struct sockaddr *to = e->kind == ENDPOINT_IPV4 ? (const struct sockaddr *)&in
							     : (const struct sockaddr *)&in6;
	socklen_t len = e->kind == ENDPOINT_IPV4 ? sizeof in : sizeof in6;
	int one = 1, only_v6 = !both;

	memcpy(&in.sin_addr, e->address, 4);
	memcpy(&in6.sin6_addr, e->address, 16);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0 ||
	    (e->kind == ENDPOINT_IPV6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof only_v6) != 0))
		return why_errno(why, BROKEN, "preparing the socket for %s", name);
	if (bind(fd, to, len) != 0)
		return why_errno(why, REFUSED, "binding %s", name);
	return OK;
}

static void
name_endpoint(const struct endpoint *e, char *name, size_t size)
{
	char address[INET6_ADDRSTRLEN] = "";

	if (e->kind == ENDPOINT_UNIX) {
		(void)snprintf(name, size, "%.*s", (int)e->path.len, (const char *)e->path.at);
		return;
	}
	(void)inet_ntop(e->kind == ENDPOINT_IPV4 ? AF_INET : AF_INET6, e->address, address, sizeof address);
	(void)snprintf(name, size, e->kind == ENDPOINT_IPV4 ? "%s:%u" : "[%s]:%u", address, e->port);
}

static enum result
open_listening(const struct endpoint *e, bool both, struct kept_socket *k, struct why *why)
{
	int family = e->kind == ENDPOINT_UNIX ? AF_UNIX : e->kind == ENDPOINT_IPV4 ? AF_INET : AF_INET6;
	char name[128];
	enum result r;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	name_endpoint(e, name, sizeof name);
	if (fd < 0)
		return why_errno(why, EXHAUSTED, "making a socket for %s", name);
	r = e->kind == ENDPOINT_UNIX ? bind_unix(fd, name, 0666, why) : bind_inet(fd, e, both, name, why);
	if (r == OK && listen(fd, BACKLOG) != 0)
		r = why_errno(why, REFUSED, "listening on %s", name);
	if (r != OK) {
		(void)close(fd);
		return r;
	}
	*k = (struct kept_socket){ .fd = fd, .endpoint = *e, .wanted = true };
	k->endpoint.path = BYTES_NONE; /* the snapshot that it showed goes away */
	if (e->kind == ENDPOINT_UNIX)
		(void)snprintf(k->path, sizeof k->path, "%.107s", name);
	return OK;
}

static bool
is_same(const struct kept_socket *k, const struct endpoint *e)
{
	if (k->endpoint.kind != e->kind)
		return false;
	if (e->kind == ENDPOINT_UNIX)
		return bytes_equal(bytes_of_string(k->path), e->path);
	return k->endpoint.port == e->port &&
	    memcmp(k->endpoint.address, e->address, e->kind == ENDPOINT_IPV4 ? 4 : 16) == 0;
}

/* [::] takes IPv4, too, unless a line of its own says where that is taken */
static bool
takes_both(const struct control *control, const struct endpoint *e)
{
	static const uint8_t any[16];
	struct bytes at = control_lines(control, ITEM_LISTEN);
	struct endpoint other;

	if (e->kind != ENDPOINT_IPV6 || memcmp(e->address, any, sizeof any) != 0)
		return false;
	while (control_next_endpoint(&at, &other))
		if (other.kind == ENDPOINT_IPV4 && other.port == e->port)
			return false;
	return true;
}

bool
sockets_adopt(int fd, struct kept_socket *k)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} at = { .un = { 0 } };
	socklen_t len = sizeof at, size = sizeof(int);
	int listens = 0;

	*k = (struct kept_socket){ .fd = fd };
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || !listens ||
	    getsockname(fd, &at.any, &len) != 0)
		return false;
	switch (at.any.sa_family) {
	case AF_INET:
		k->endpoint = (struct endpoint){ .kind = ENDPOINT_IPV4, .port = ntohs(at.in.sin_port) };
		memcpy(k->endpoint.address, &at.in.sin_addr, 4);
		return true;
	case AF_INET6:
		k->endpoint = (struct endpoint){ .kind = ENDPOINT_IPV6, .port = ntohs(at.in6.sin6_port) };
		memcpy(k->endpoint.address, &at.in6.sin6_addr, 16);
		return true;
	case AF_UNIX:
		k->endpoint = (struct endpoint){ .kind = ENDPOINT_UNIX };
		(void)snprintf(k->path, sizeof k->path, "%.107s", at.un.sun_path);
		return k->path[0] == '/';
	default:
		return false;
	}
}

static struct kept_socket *
find(struct sockets *s, size_t n, const struct endpoint *e)
{
	for (size_t i = 0; i < n; i++)
		if (is_same(&s->listening[i], e))
			return &s->listening[i];
	return NULL;
}

/* closes those from `first` on for which wanted is not as given, and closes the gaps */
static void
keep(struct sockets *s, size_t first)
{
	size_t kept = first;

	for (size_t i = first; i < s->n_listening; i++)
		if (s->listening[i].wanted)
			s->listening[kept++] = s->listening[i];
		else
			(void)close(s->listening[i].fd);
	s->n_listening = kept;
}

static struct endpoint
any_address(enum endpoint_kind kind, uint16_t port)
{
	return (struct endpoint){ .kind = kind, .port = port }; /* of zeros */
}

static bool
is_listed(const struct control *control, const struct endpoint *wanted)
{
	struct bytes at = control_lines(control, ITEM_LISTEN);
	struct endpoint e;
	struct kept_socket as = { .endpoint = *wanted };

	while (control_next_endpoint(&at, &e))
		if (e.kind != ENDPOINT_UNIX && is_same(&as, &e))
			return true;
	return false;
}

/* Whether a socket for IPv6 takes IPv4 connections, too. */
static bool
is_dual(const struct kept_socket *k)
{
	int only_v6 = 1;
	socklen_t len = sizeof only_v6;

	return k->endpoint.kind == ENDPOINT_IPV6 && getsockopt(k->fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, &len) == 0 &&
	    !only_v6;
}

/* 0.0.0.0 beside a [::] that was bound when it had no such line, and takes both. */
static bool
is_served(struct sockets *s, const struct control *control, const struct endpoint *e)
{
	struct endpoint any = any_address(ENDPOINT_IPV4, e->port), six = any_address(ENDPOINT_IPV6, e->port);
	struct kept_socket as = { .endpoint = any }, *k;

	return e->kind == ENDPOINT_IPV4 && is_same(&as, e) && is_listed(control, &six) &&
	    (k = find(s, s->n_listening, &six)) != NULL && is_dual(k);
}

static enum result
want(struct sockets *s, const struct control *control, const struct endpoint *e, struct why *why)
{
	struct kept_socket *k = find(s, s->n_listening, e);
	bool both = takes_both(control, e);
	struct endpoint four = any_address(ENDPOINT_IPV4, e->port);
	enum result r;

	if (k == NULL && is_served(s, control, e))
		return OK;
	if (k != NULL) {
		k->wanted = true;
		/* it was bound when a line of its own said where IPv4 is taken, and what it takes can't be changed any more */
		return both && !is_dual(k) ? want(s, control, &four, why) : OK;
	}
	if (s->n_listening == SOCKETS_MAX)
		return why_set(why, MALFORMED, "listen: expected at most %d addresses", SOCKETS_MAX);
	if ((r = open_listening(e, both, &s->listening[s->n_listening], why)) == OK)
		s->n_listening++;
	return r;
}

enum result
sockets_listen(struct sockets *s, const struct control *control, struct why *why)
{
	struct bytes at = control_lines(control, ITEM_LISTEN);
	struct endpoint e;
	size_t before = s->n_listening;
	enum result r = OK;

	for (size_t i = 0; i < before; i++)
		s->listening[i].wanted = false;
	while (r == OK && control_next_endpoint(&at, &e))
		r = want(s, control, &e, why);
	if (r == OK) {
		keep(s, 0);
		return OK;
	}
	for (size_t i = 0; i < s->n_listening; i++)
		s->listening[i].wanted = i < before; /* as it was */
	keep(s, 0);
	return r;
}

static enum result
open_door(const char *path, int *fd, struct why *why)
{
	int new = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	enum result r;

	if (new < 0)
		return why_errno(why, EXHAUSTED, "making a door");
	r = bind_unix(new, path, 0600, why);
	if (r == OK)
		*fd = new;
	else
		(void)close(new);
	return r;
}

enum result
sockets_open_doors(struct sockets *s, const struct instance *in, struct why *why)
{
	const char *members[HOUSE_MEMBERS_MAX];
	size_t n = house_members(in->service, members);
	enum result r;

	for (size_t d = 0; d < house_n_doorways && d < SOCKETS_MAX; d++) {
		if (s->doors[d].path[0] != '\0')
			continue; /* kept */
		s->doors[d].fd = -1;
		for (size_t i = 0; i < n; i++) {
			if (strcmp(members[i], house_doorways[d].owner) != 0)
				continue;
			(void)snprintf(
			    s->doors[d].path, sizeof s->doors[d].path, "%s/%s", in->run, house_doorways[d].socket);
			if ((r = open_door(s->doors[d].path, &s->doors[d].fd, why)) != OK)
				return r;
		}
	}
	return OK;
}

void
sockets_keep_door(struct sockets *s, const struct instance *in, const struct kept_socket *door)
{
	char path[sizeof door->path];

	for (size_t d = 0; d < house_n_doorways && d < SOCKETS_MAX; d++) {
		(void)snprintf(path, sizeof path, "%s/%s", in->run, house_doorways[d].socket);
		if (strcmp(path, door->path) == 0) {
			s->doors[d] = *door;
			return;
		}
	}
	(void)close(door->fd);
}

enum result
sockets_connect_door(const struct instance *in, const char *socket_name, int *fd, struct why *why)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int n = snprintf(un.sun_path, sizeof un.sun_path, "%s/%s", in->run, socket_name);
	int new;

	if (n < 0 || (size_t)n >= sizeof un.sun_path)
		return why_set(why, MALFORMED, "%s/%s is too long for a socket", in->run, socket_name);
	new = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (new < 0)
		return why_errno(why, EXHAUSTED, "making a socket");
	if (connect(new, (const struct sockaddr *)&un, sizeof un) != 0) {
		enum result r = errno == ENOENT || errno == ECONNREFUSED ? ABSENT : BROKEN;

		r = r == ABSENT ? why_set(why, r, "waiting for the service whose door is %s", un.sun_path)
				: why_errno(why, r, "connecting to the door %s", un.sun_path);
		(void)close(new);
		return r;
	}
	*fd = new;
	return OK;
}
