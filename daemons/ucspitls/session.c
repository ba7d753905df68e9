/* One connection: from the program's command to its answer.
 * Trusts the engine's word on the peer for what it is: variables of the program that has this peer.
 * Never waits for the program longer than the program lives, nor for the engine longer than a handshake may take. */
#include "ucspitls/session.h"

#include "sys/fd.h"
#include "ucspi/environment.h"
#include "ucspi/handshake.h"
#include "ucspitls/privileges.h"

#include <string.h>
#include <unistd.h>

enum { CONNECTION, CONTROL, PLAIN };

struct session {
	struct us_session may;
	const int *fds;
	uint8_t command;
	uint8_t room[TF_VARIABLES_MAX];
	struct handshake how;
};

static bool
read_command(struct session *s)
{
	return read(s->fds[CONTROL], &s->command, 1) == 1 && (s->command == US_COMMAND || s->command == US_VARIABLES);
}

static void
tell(const struct session *s)
{
	uint8_t room[256];
	struct buf line = BUF_OVER(room);

	if (s->may.verbose == 0)
		return;
	buf_format(&line, "sslserver: ssl %u accept [%s:%s]\n", s->may.pid, s->how.protocol, s->how.cipher);
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

/* Of a peer that was not asked for a certificate there is nothing to tell but that. */
static bool
may_be_told(const struct session *s, struct bytes variable)
{
	return environment_tells_of_handshake(variable) &&
	    (s->may.tls.engine.verify != PT_VERIFY_NONE || !bytes_starts(variable, BYTES("SSL_CLIENT_")) ||
		bytes_equal(variable, BYTES("SSL_CLIENT_VERIFY=NONE")));
}

static void
answer(struct session *s)
{
	struct bytes rest = buf_bytes(&s->how.variables), one;
	struct buf list = buf_growing(TF_VARIABLES_MAX + 2);

	if (s->command != US_VARIABLES)
		return;
	while (rest.len > 0 && bytes_split(&rest, '\0', &one))
		if (may_be_told(s, one)) {
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
	s.how.variables = BUF_OVER(s.room);
	if (s.may.tls.engine.role != PT_SERVER || !read_command(&s))
		_exit(0);
	s.may.tls.variables = s.command == US_VARIABLES;
	r = handshake_begin(&s.may.tls, m->tail, UCSPITLS_TLS_FD, UCSPITLS_KEYLOAD_FD, s.fds[CONNECTION], s.fds[PLAIN],
	    s.fds[CONTROL], &facts, &why);
	(void)close(s.fds[CONNECTION]);
	(void)close(s.fds[PLAIN]); /* the program sees an end if the engine has none */
	if (r == OK)
		r = handshake_hear(&s.how, facts, s.may.tls.handshake_ms, &why);
	if (r == OK) {
		tell(&s);
		answer(&s);
	} else
		tell_failure(&s, bytes_of_string(why.text));
	_exit(0);
}
