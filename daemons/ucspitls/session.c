/* One connection: from the program's command to its answer.
 * Trusts the engine's word on the peer for what it is: variables of the program that has this peer.
 * Never waits for the program longer than the program lives, nor for the engine longer than a handshake may take. */
#include "ucspitls/session.h"

#include "sys/fd.h"
#include "sys/log.h"
#include "ucspitls/privileges.h"
#include "wire/channel.h"
#include "wire/policy_keyload.h"
#include "wire/tls_facts.h"
#include "wire/tls_keyload.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GRACE_MS 5000 /* the engine ends a handshake itself; this is for an engine that is gone mad */

enum { CONNECTION, CONTROL, PLAIN };

struct session {
	struct us_session may;
	const int *fds;
	uint8_t command;
	uint8_t room[TF_VARIABLES_MAX];
	struct buf variables;
};

static bool
read_command(struct session *s)
{
	return read(s->fds[CONTROL], &s->command, 1) == 1 && (s->command == US_COMMAND || s->command == US_VARIABLES);
}

static enum result
send_on(int fd, const struct wire_protocol *protocol, uint16_t type, const void *body, struct bytes tail,
    const int *fds, struct why *why)
{
	struct channel c = channel_of(fd, protocol, WIRE_FIRST, true);

	return channel_send(&c, type, 0, body, tail, fds, why);
}

static enum result
join(struct session *s, struct bytes tail, int *facts, struct why *why)
{
	struct pk_signer buy = { .role = PK_TLS_SERVER, .wait_ms = s->may.tls.handshake_ms };
	struct pt_session ask = s->may.tls;
	int signer[2] = { -1, -1 }, ends[2] = { -1, -1 };
	enum result r;

	memcpy(buy.conn, ask.conn, sizeof buy.conn);
	ask.variables = s->command == US_VARIABLES;
	if ((r = channel_pair(signer, why)) == OK && (r = channel_pair(ends, why)) == OK &&
	    (r = send_on(
		 UCSPITLS_KEYLOAD_FD, &policy_keyload_protocol, PK_SIGNER, &buy, BYTES_NONE, &signer[1], why)) == OK) {
		int gifts[4] = { s->fds[CONNECTION], s->fds[PLAIN], signer[0], ends[0] };

		r = send_on(UCSPITLS_TLS_FD, &policy_tls_protocol, PT_SESSION, &ask, tail, gifts, why);
	}
	fd_close(&signer[0]);
	fd_close(&signer[1]);
	fd_close(&ends[0]);
	*facts = ends[1];
	return r;
}

static void
tell(const struct session *s, const struct wire_message *m)
{
	struct bytes fields[TF_N_FIELDS];
	uint8_t room[256];
	struct buf line = BUF_OVER(room);

	if (s->may.verbose == 0 || !wire_take_all(m->tail, fields, TF_N_FIELDS))
		return;
	buf_format(&line, "sslserver: ssl %u accept [%.*s:%.*s]\n", s->may.pid, (int)fields[0].len,
	    (const char *)fields[0].at, (int)fields[1].len, (const char *)fields[1].at);
	if (!line.failed)
		(void)!write(2, line.at, line.len);
}

static void
tell_failure(const struct session *s, struct bytes text)
{
	uint8_t room[WHY_MAX + 100];
	struct buf line = BUF_OVER(room);

	buf_format(&line, "sslserver: ssl %u failed: ", s->may.pid);
	for (size_t i = 0; i < text.len; i++)
		buf_add_octet(&line, text.at[i] < 0x20 || text.at[i] == 0x7f ? '?' : text.at[i]);
	buf_add_octet(&line, '\n');
	if (!line.failed)
		(void)!write(2, line.at, line.len);
}

/* Pieces of the list, then the facts. */
static enum result
hear(struct session *s, int fd, struct why *why)
{
	static struct wire_buffer buffer;
	struct channel c = channel_of(fd, &tls_facts_protocol, TF_POLICY, true);
	struct pollfd p = { fd, POLLIN, 0 };
	struct wire_message m;
	enum result r;

	s->variables = buf_over(s->room, sizeof s->room);
	for (;;) {
		if (poll(&p, 1, (int)s->may.tls.handshake_ms + GRACE_MS) <= 0)
			return why_set(why, AGAIN, "the engine said nothing");
		if ((r = channel_receive(&c, &buffer, &m, why)) != OK)
			return why_set(why, r, "the engine has gone");
		if (m.type == TF_VARIABLES)
			buf_add(&s->variables, m.tail);
		else if (m.type == TF_FAILED) {
			tell_failure(s, m.tail);
			return REFUSED;
		} else
			break;
	}
	tell(s, &m);
	return buf_result(&s->variables);
}

/* Only what a program may be told by us: SSL_ and capitals, digits, underscores. */
static bool
is_ours(struct bytes variable)
{
	size_t name = bytes_find(variable, '=');

	if (name == variable.len || !bytes_starts(variable, BYTES("SSL_")))
		return false;
	for (size_t i = 0; i < name; i++) {
		uint8_t c = variable.at[i];

		if (!ascii_is_alnum(c) && c != '_')
			return false;
	}
	return true;
}

static void
answer(struct session *s)
{
	struct bytes rest = buf_bytes(&s->variables), one;
	struct buf list = buf_growing(TF_VARIABLES_MAX + 2);

	if (s->command != US_VARIABLES)
		return;
	while (rest.len > 0 && bytes_split(&rest, '\0', &one))
		if (is_ours(one)) {
			buf_add(&list, one);
			buf_add_octet(&list, '\0');
		}
	if (list.len == 0)
		buf_add_octet(&list, '\0');
	buf_add_octet(&list, '\0');
	if (!list.failed)
		(void)fd_write_all(s->fds[CONTROL], buf_bytes(&list)); /* the program may have gone */
}

void
session_run(const struct wire_message *m)
{
	static struct session s;
	struct why why = WHY_NONE;
	enum result r;
	int facts = -1;

	memcpy(&s.may, m->body, sizeof s.may);
	s.may.tls.conn[ID_LEN] = '\0';
	s.fds = m->fds;
	if (s.may.tls.engine.role != PT_SERVER || !read_command(&s))
		_exit(0);
	r = join(&s, m->tail, &facts, &why);
	(void)close(s.fds[CONNECTION]);
	(void)close(s.fds[PLAIN]); /* the program sees an end if the engine has none */
	if (r == OK)
		r = hear(&s, facts, &why);
	if (r == OK)
		answer(&s);
	else if (why.text[0] != '\0')
		tell_failure(&s, bytes_of_string(why.text));
	_exit(0);
}
