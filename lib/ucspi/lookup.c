/* Questions to the network.
 * Trusts nobody's answer: it comes back through a pipe, bounded, and is taken only if it has the form of a name or address.
 * Never asks as root, never waits longer than told. */
#include "ucspi/lookup.h"

#include "sys/clock.h"
#include "sys/confine_into.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534
#define IDENT_PORT 113
#define ANSWER_FD 3

struct question {
	const struct address *local, *remote;
	const char *name;
	int family;
	bool certain;
};

typedef void asker(const struct question *q, struct buf *answer);

struct lookup
lookup_as(uid_t uid, gid_t gid, unsigned seconds)
{
	struct lookup l = { uid, gid, seconds };

	if (geteuid() != 0)
		return (struct lookup){ geteuid(), getegid(), seconds };
	if (uid == 0)
		l.uid = l.gid = NOBODY;
	if (l.gid == 0)
		l.gid = NOBODY;
	return l;
}

__attribute__((noreturn)) static void
ask(const struct lookup *l, asker *how, const struct question *q, int fd)
{
	uint8_t room[sizeof(struct address) * LOOKUP_ADDRESSES_MAX];
	struct buf answer = BUF_OVER(room);
	struct why why = WHY_NONE;

	/* what reads answers of strangers has nothing else at hand */
	if (dup2(fd, ANSWER_FD) < 0 || close_range(ANSWER_FD + 1, ~0U, 0) != 0)
		_exit(111);
	(void)alarm(l->seconds + 1);
	if (process_become(l->uid, l->gid, &why) != OK)
		_exit(111);
	how(q, &answer);
	_exit(fd_write_all(ANSWER_FD, buf_bytes(&answer)) == OK ? 0 : 111);
}

static void
hear(int fd, unsigned seconds, struct buf *answer)
{
	uint64_t end = clock_ms() + (uint64_t)seconds * 1000, now;
	struct pollfd p = { fd, POLLIN, 0 };
	uint8_t room[512];
	ssize_t n = 1;

	while (n > 0 && (now = clock_ms()) < end) {
		int ready = poll(&p, 1, (int)(end - now));

		if (ready < 0 && errno == EINTR)
			continue; /* a signal for the server is no answer */
		if (ready <= 0 || (n = read(fd, room, sizeof room)) <= 0)
			break;
		buf_add(answer, bytes_of(room, (size_t)n));
	}
}

static void
run(const struct lookup *l, asker *how, const struct question *q, struct buf *answer)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return;
	pid = fork();
	if (pid == 0)
		ask(l, how, q, ends[1]);
	(void)close(ends[1]);
	if (pid > 0) {
		hear(ends[0], l->seconds, answer);
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
	(void)close(ends[0]);
	if (answer->failed)
		buf_clear(answer);
}

/* ---- names ---- */

static bool
has_address(const char *name, const struct address *a)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = a->len == 4 ? AF_INET : AF_INET6 }, *all,
			*at;
	struct sockaddr_storage one = { 0 };
	struct address found;
	bool has = false;

	if (getaddrinfo(name, NULL, &hints, &all) != 0)
		return false;
	for (at = all; at != NULL && !has; at = at->ai_next) {
		memcpy(&one, at->ai_addr, at->ai_addrlen);
		has = address_from(&one, false, &found) && found.len == a->len &&
		    memcmp(found.octets, a->octets, a->len) == 0;
	}
	freeaddrinfo(all);
	return has;
}

static void
ask_name(const struct question *q, struct buf *answer)
{
	struct sockaddr_storage at;
	socklen_t len = address_to(q->remote, &at);
	char name[NI_MAXHOST];

	if (getnameinfo((const struct sockaddr *)&at, len, name, sizeof name, NULL, 0, NI_NAMEREQD) == 0 &&
	    (!q->certain || has_address(name, q->remote)))
		buf_add_string(answer, name);
}

static bool
is_name_octet(uint8_t c)
{
	return ascii_is_alnum(c) || c == '-' || c == '.' || c == '_';
}

void
lookup_name(const struct lookup *l, const struct address *a, bool certain, char name[LOOKUP_NAME_MAX + 1])
{
	struct question q = { .remote = a, .certain = certain };
	uint8_t room[LOOKUP_NAME_MAX];
	struct buf answer = BUF_OVER(room);

	name[0] = '\0';
	run(l, ask_name, &q, &answer);
	while (answer.len > 0 && room[answer.len - 1] == '.')
		answer.len--;
	for (size_t i = 0; i < answer.len; i++)
		if (!is_name_octet(room[i]))
			return;
	for (size_t i = 0; i < answer.len; i++)
		name[i] = (char)ascii_lower(room[i]);
	name[answer.len] = '\0';
}

/* ---- addresses ---- */

static void
ask_addresses(const struct question *q, struct buf *answer)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = q->family }, *all, *at;
	struct sockaddr_storage one = { 0 };
	struct address found;
	size_t n = 0;

	if (getaddrinfo(q->name, NULL, &hints, &all) != 0)
		return;
	for (at = all; at != NULL && n < LOOKUP_ADDRESSES_MAX; at = at->ai_next) {
		memcpy(&one, at->ai_addr, at->ai_addrlen);
		if (address_from(&one, false, &found)) {
			buf_add(answer, bytes_of(&found, sizeof found));
			n++;
		}
	}
	freeaddrinfo(all);
}

void
lookup_addresses(
    const struct lookup *l, const char *name, int family, struct address all[LOOKUP_ADDRESSES_MAX], size_t *n)
{
	struct question q = { .name = name, .family = family };
	struct buf answer = buf_over(all, sizeof(struct address) * LOOKUP_ADDRESSES_MAX);

	*n = 0;
	if (address_parse(name, &all[0])) {
		*n = 1;
		return;
	}
	run(l, ask_addresses, &q, &answer);
	while ((*n + 1) * sizeof(struct address) <= answer.len && (all[*n].len == 4 || all[*n].len == 16))
		++*n;
}

/* ---- IDENT ---- */

static int
dial(const struct address *from, const struct address *to)
{
	struct address here = *from, there = *to;
	struct sockaddr_storage a, b;
	socklen_t la, lb;
	int fd = socket(from->len == 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	here.port = 0;
	there.port = IDENT_PORT;
	la = address_to(&here, &a);
	lb = address_to(&there, &b);
	if (fd >= 0 && bind(fd, (const struct sockaddr *)&a, la) == 0 &&
	    connect(fd, (const struct sockaddr *)&b, lb) == 0)
		return fd;
	fd_close(&fd);
	return -1;
}

struct bytes
ident_user(struct bytes line)
{
	struct bytes part;
	bool is_user = false;

	line = bytes_first(line, bytes_find(line, '\r'));
	line = bytes_first(line, bytes_find(line, '\n'));
	for (unsigned i = 0; i < 3; i++) {
		if (line.at == NULL || !bytes_split(&line, ':', &part))
			return BYTES_NONE;
		if (i == 1)
			is_user = bytes_equal_nocase(bytes_trim(part), BYTES("USERID"));
	}
	return is_user ? bytes_trim(line) : BYTES_NONE;
}

static void
ask_ident(const struct question *q, struct buf *answer)
{
	uint8_t room[1024];
	struct buf line = BUF_OVER(room);
	int fd = dial(q->local, q->remote);
	ssize_t n;

	if (fd < 0)
		return;
	buf_format(&line, "%u , %u\r\n", q->remote->port, q->local->port);
	if (fd_write_all(fd, buf_bytes(&line)) != OK)
		return;
	buf_clear(&line);
	while (line.len < sizeof room && bytes_find(buf_bytes(&line), '\n') == line.len &&
	    (n = read(fd, room + line.len, sizeof room - line.len)) > 0)
		line.len += (size_t)n;
	buf_add(answer, bytes_first(ident_user(buf_bytes(&line)), LOOKUP_NAME_MAX));
}

void
lookup_ident(
    const struct lookup *l, const struct address *local, const struct address *remote, char user[LOOKUP_NAME_MAX + 1])
{
	struct question q = { .local = local, .remote = remote };
	uint8_t room[LOOKUP_NAME_MAX];
	struct buf answer = BUF_OVER(room);

	run(l, ask_ident, &q, &answer);
	for (size_t i = 0; i < answer.len; i++)
		user[i] = room[i] < 0x20 || room[i] >= 0x7f ? '?' : (char)room[i];
	user[answer.len] = '\0';
}
