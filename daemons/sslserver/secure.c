/* What sslserver does for one connection, in that connection's process.
 * Trusts its environment and the rules; the list of variables that ucspitls sends is taken by form alone.
 * Never reads from the connection. */
#include "sslserver/secure.h"

#include "base/id.h"
#include "sslserver/helpers.h"
#include "sys/clock.h"
#include "sys/fd.h"
#include "ucspi/session.h"
#include "wire/channel.h"
#include "wire/sslserver_ucspitls.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXIT_CERTIFICATE 110 /* no client certificate can be demanded */
#define EXIT_TROUBLE 111
#define LIST_MAX ((64u << 10) + 2)
#define FIRST_FD 10 /* programs have habits with lower numbers */
#define GRACE_SECONDS 10

static int control = -1, plain = -1;

static struct bytes
variable(const char *name)
{
	return bytes_of_string(getenv(name));
}

/* ---- the terms ---- */

static enum pt_verify
verify_of(const struct server *s)
{
	struct bytes cas = variable("CCAFILE");
	const char *must = getenv("CCAVERIFY");
	bool off = bytes_equal(cas, BYTES("-")) || (must != NULL && must[0] == '-');
	bool demanded = s->o.client_certificate == 'z' || s->o.client_certificate == 'm';

	if (must != NULL && !off)
		return PT_VERIFY_REQUIRED;
	if (off)
		return PT_VERIFY_NONE;
	if (demanded)
		return PT_VERIFY_REQUIRED;
	return cas.len > 0 && s->o.client_certificate != 'Z' ? PT_VERIFY_OPTIONAL : PT_VERIFY_NONE;
}

static struct bytes
certificates(const struct session *c)
{
	struct bytes chain = c->certificate_in_rule ? BYTES_NONE : variable("CERTCHAINFILE");

	return chain.len > 0 ? chain : variable("CERTFILE");
}

static void
put_terms(const struct server *s, const struct session *c, enum pt_verify verify, struct buf *tail)
{
	struct bytes names = certificates(c), name, ca = variable("CAFILE"), none = BYTES_NONE;
	bool asks = verify != PT_VERIFY_NONE, by_host = verify == PT_VERIFY_REQUIRED && s->o.client_certificate == 'z';
	uint8_t room[2048];
	struct buf list = BUF_OVER(room);

	while (names.len > 0 && bytes_split(&names, ':', &name))
		wire_put(&list, name);
	wire_put(tail, BYTES_NONE);
	wire_put(tail, buf_bytes(&list));
	wire_put(tail, !asks ? none : ca.len > 0 ? ca : variable("CADIR"));
	wire_put(tail, asks ? variable("CCAFILE") : none);
	wire_put(tail, asks ? variable("CRLFILE") : none);
	wire_put(tail, variable("CIPHERS"));
	wire_put_string(tail, by_host ? c->ends.remote_name : "");
	if (list.failed || tail->failed)
		say_die(EXIT_TROUBLE, "the TLS variables are too long");
}

static void
ask(const struct server *s, const struct session *c, const int fds[3])
{
	enum pt_verify verify = verify_of(s);
	struct us_session may = {
		.tls = { .engine = { .role = PT_SERVER, .verify = (uint8_t)verify, .by_name = !c->certificate_in_rule },
		    .handshake_ms = s->o.handshake_seconds * 1000,
		    .idle_ms = s->o.idle_seconds * 1000 },
		.pid = (uint32_t)getpid(),
		.verbose = say_is(SAY_TLS)
	};
	struct channel door = channel_of(helpers_door(s->own), &sslserver_ucspitls_protocol, US_SSLSERVER, true);
	struct id id = id_of_number(clock_wall_us() / 1000 << 10 | ((unsigned)getpid() & 1023));
	struct why why = WHY_NONE;
	uint8_t room[6000];
	struct buf tail = BUF_OVER(room);
	unsigned depth;

	if (verify == PT_VERIFY_REQUIRED && s->o.client_certificate == 'z' && c->ends.remote_name[0] == '\0')
		say_die(
		    EXIT_CERTIFICATE, "the client %s has no name to be found in its certificate", c->ends.remote_text);
	memcpy(may.tls.conn, id.text, sizeof may.tls.conn);
	if (options_number(getenv("VERIFYDEPTH"), 100, &depth))
		may.tls.engine.depth = (uint8_t)depth;
	put_terms(s, c, verify, &tail);
	if (channel_send(&door, US_SESSION, 0, &may, buf_bytes(&tail), fds, &why) != OK)
		say_die(EXIT_TROUBLE, "unable to get TLS: %s", why.text);
}

void
secure_prepare(struct server *s, struct session *c)
{
	int control_pair[2], plain_pair[2], fds[3];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control_pair) != 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, plain_pair) != 0)
		say_die(EXIT_TROUBLE, "unable to make socket pairs: %s", strerror(errno));
	fds[0] = c->connection;
	fds[1] = control_pair[1];
	fds[2] = plain_pair[1];
	ask(s, c, fds);
	(void)close(control_pair[1]);
	(void)close(plain_pair[1]);
	control = control_pair[0];
	plain = plain_pair[0];
}

/* ---- STARTTLS: the program's own affair ---- */

static void
leave_to_program(const char *name, int fd)
{
	int kept = fcntl(fd, F_DUPFD, FIRST_FD);

	if (kept < 0)
		say_die(EXIT_TROUBLE, "unable to set up descriptors: %s", strerror(errno));
	environment_number(name, (unsigned)kept);
}

/* ---- TLS at once ---- */

static bool
is_ended(const struct buf *list)
{
	return list->len >= 2 && list->at[list->len - 1] == '\0' && list->at[list->len - 2] == '\0';
}

static void
read_list(const struct server *s, struct buf *list)
{
	uint64_t end = clock_ms() + (uint64_t)(s->o.handshake_seconds + GRACE_SECONDS) * 1000, now;
	struct pollfd p = { control, POLLIN, 0 };

	while (!is_ended(list)) {
		uint8_t *room = buf_room(list, 4096);
		ssize_t n = -1;

		if (room != NULL && (now = clock_ms()) < end && poll(&p, 1, (int)(end - now)) > 0)
			n = read(control, room, 4096);
		if (n <= 0)
			_exit(EXIT_TROUBLE); /* ucspitls has said why */
		list->len += (size_t)n;
	}
}

static void
start_now(const struct server *s, struct session *c)
{
	uint8_t command = s->o.variables ? US_VARIABLES : US_COMMAND;
	struct buf list = buf_growing(LIST_MAX);

	if (write(control, &command, 1) != 1)
		say_die(EXIT_TROUBLE, "unable to start TLS: %s", strerror(errno));
	if (s->o.variables) {
		read_list(s, &list);
		environment_take(buf_bytes(&list));
	}
	buf_free(&list);
	leave_to_program("SSLENDFD", control);
	c->in = c->out = plain;
}

void
secure_begin(struct server *s, struct session *c)
{
	static const char *const names[] = { "SSLCTLFD", "SSLREADFD", "SSLWRITEFD", "SSLENDFD" };

	for (size_t i = 0; i < nitems(names); i++)
		environment_put(names[i], NULL);
	if (!s->o.starttls) {
		start_now(s, c);
		return;
	}
	leave_to_program(names[0], control);
	leave_to_program(names[1], plain);
	leave_to_program(names[2], plain);
	environment_put(names[3], getenv(names[0]));
}
