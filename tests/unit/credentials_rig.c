/* See credentials_rig.h. */
#include "credentials_rig.h"

#include "wire/policy_keyload.h"
#include "wire/policy_tls.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct crig rig;

static enum result
ignore(struct port *p, struct wire_message *m, struct why *why)
{
	(void)p;
	(void)m;
	(void)why;
	return OK;
}

static void
end(struct port *p, enum result r, struct why *why)
{
	(void)p;
	(void)r;
	(void)why;
}

static const struct port_events events = { ignore, end };

int
crig_set_up(void **state)
{
	struct why why = WHY_NONE;
	int session[2], keyload[2], tls[2];

	(void)state;
	assert_int_equal(loop_open(&rig.loop, &why), OK);
	assert_int_equal(channel_pair(session, &why), OK);
	assert_int_equal(channel_pair(keyload, &why), OK);
	assert_int_equal(channel_pair(tls, &why), OK);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, rig.line), 0);
	assert_int_equal(port_open(&rig.port, &rig.loop, channel_of(session[0], &send_remote_protocol, RM_SEND, false),
			     &events, 10, &why),
	    OK);
	assert_int_equal(credentials_open(&rig.loop, keyload[0], &why), OK);
	assert_int_equal(securing_open(&rig.loop, tls[0], &why), OK);
	rig.remote = session[1];
	rig.keyload = keyload[1];
	rig.tls = tls[1];
	return 0;
}

int
crig_tear_down(void **state)
{
	(void)state;
	port_close(&rig.port);
	credentials_close();
	securing_close();
	loop_close(&rig.loop);
	close(rig.remote);
	close(rig.keyload);
	close(rig.tls);
	close(rig.line[0]);
	close(rig.line[1]);
	return 0;
}

struct credentials
crig_made(int fd)
{
	struct credentials k = CREDENTIALS_NONE;

	k.securing.ours = fd;
	return k;
}

struct access
crig_access(void)
{
	static const struct rm_peer peer = { .is_relay = 1, .tls = RM_TLS_NAME, .auth = 15, .idle_ms = 60000 };

	return (struct access){ .conn = "1jtestconn0",
		.peer = &peer,
		.destination = BYTES("relay.test"),
		.relay = BYTES("relay.test"),
		.ca = BYTES("/ca.pem"),
		.user = BYTES("user"),
		.password = BYTES("pencil"),
		.certificate = BYTES("/own.pem") };
}

enum result
crig_ask(struct credentials *k, const struct access *a, const struct rm_auth *auth, struct bytes tail, int fd)
{
	struct wire_message m = { .type = RM_AUTH, .ref = 7, .body = auth, .tail = tail, .fds = { fd }, .n_fds = 1 };
	struct why why = WHY_NONE;

	return credentials_answer(k, a, &rig.port, &m, &why);
}

bool
crig_said(struct bytes *tail)
{
	struct channel c = channel_of(rig.remote, &send_remote_protocol, RM_REMOTE, true);
	const struct rm_auth_said *said;
	struct why why = WHY_NONE;
	struct wire_message m;

	assert_int_equal(channel_receive(&c, &rig.buffer, &m, &why), OK);
	assert_int_equal(m.type, RM_AUTH_SAID);
	assert_int_equal(m.ref, 7);
	said = m.body;
	*tail = m.tail;
	return said->ok == 1;
}
