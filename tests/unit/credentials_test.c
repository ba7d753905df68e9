/* What a session of remote gets of signers and logins, and what it does not. */
#include "unit.h"

#include "base/base64.h"
#include "send/credentials.h"
#include "wire/policy_keyload.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
	struct loop loop;
	struct port port;    /* send's end of the session */
	int remote, keyload; /* the other ends */
	int line[2];         /* the connection to the relay */
	struct wire_buffer buffer;
} rig;

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

static int
set_up(void **state)
{
	struct why why = WHY_NONE;
	int session[2], keyload[2];

	(void)state;
	assert_int_equal(loop_open(&rig.loop, &why), OK);
	assert_int_equal(channel_pair(session, &why), OK);
	assert_int_equal(channel_pair(keyload, &why), OK);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, rig.line), 0);
	assert_int_equal(port_open(&rig.port, &rig.loop, channel_of(session[0], &send_remote_protocol, RM_SEND, false),
			     &events, 10, &why),
	    OK);
	assert_int_equal(credentials_open(&rig.loop, keyload[0], &why), OK);
	rig.remote = session[1];
	rig.keyload = keyload[1];
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	port_close(&rig.port);
	credentials_close();
	loop_close(&rig.loop);
	close(rig.remote);
	close(rig.keyload);
	close(rig.line[0]);
	close(rig.line[1]);
	return 0;
}

static struct access
an_access(void)
{
	return (struct access){ .conn = "1jtestconn0",
		.user = BYTES("user"),
		.password = BYTES("pencil"),
		.certificate = BYTES("/own.pem") };
}

static enum result
ask(struct credentials *k, const struct access *a, const struct rm_auth *auth, struct bytes tail, int fd)
{
	struct wire_message m = { .type = RM_AUTH, .ref = 7, .body = auth, .tail = tail, .fds = { fd }, .n_fds = 1 };
	struct why why = WHY_NONE;

	return credentials_answer(k, a, &rig.port, &m, &why);
}

/* The answer to the session; its text in *tail. */
static bool
was_said(struct bytes *tail)
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

static const char *
next_line(void)
{
	static char text[2048];
	ssize_t n = recv(rig.line[1], text, sizeof text - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* Says a step and returns the line that the relay reads; "" if none. */
static const char *
step(struct credentials *k, const struct access *a, enum rm_mechanism mechanism, uint8_t n, struct bytes challenge)
{
	struct rm_auth auth = { .mechanism = (uint8_t)mechanism, .step = n };
	uint8_t room[512];
	struct buf tail = BUF_OVER(room);
	struct bytes text;

	if (challenge.at != NULL)
		wire_put(&tail, challenge);
	assert_int_equal(ask(k, a, &auth, buf_bytes(&tail), rig.line[0]), OK);
	assert_true(was_said(&text));
	return next_line();
}

static void
plain_login_and_cram_md5_are_said(void **state)
{
	struct credentials k = { 0 };
	struct access a = an_access();

	(void)state;
	assert_string_equal(step(&k, &a, RM_PLAIN, 0, BYTES_NONE), "AUTH PLAIN AHVzZXIAcGVuY2ls\r\n");
	assert_string_equal(step(&k, &a, RM_LOGIN, 0, BYTES_NONE), "AUTH LOGIN\r\n");
	assert_string_equal(step(&k, &a, RM_LOGIN, 1, BYTES_NONE), "dXNlcg==\r\n");
	assert_string_equal(step(&k, &a, RM_LOGIN, 2, BYTES_NONE), "cGVuY2ls\r\n");
	a.user = BYTES("tim");
	a.password = BYTES("tanstaaftanstaaf");
	assert_string_equal(step(&k, &a, RM_CRAM_MD5, 0, BYTES_NONE), "AUTH CRAM-MD5\r\n");
	assert_string_equal(step(&k, &a, RM_CRAM_MD5, 1, BYTES("<1896.697170952@postoffice.reston.mci.net>")),
	    "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw\r\n"); /* RFC 2195 2 */
}

/* Both sides of it: the server's is that of crypt/sasl.h. */
static void
scram_is_said_and_its_server_is_known_by_its_signature(void **state)
{
	struct credentials k = { 0 };
	struct access a = an_access();
	struct rm_auth final = { .mechanism = RM_SCRAM_SHA_256, .step = 1, .iterations = SCRAM_ITERATIONS_MIN };
	uint8_t room[3][1024], tail_room[1024], final_room[1024];
	struct buf first = BUF_OVER(room[0]), server_first = BUF_OVER(room[1]), answer = BUF_OVER(room[2]),
		   tail = BUF_OVER(tail_room), decoded = BUF_OVER(final_room);
	struct scram_first f;
	struct scram_keys keys;
	struct bytes expected, nonce;
	const char *line;
	struct why why = WHY_NONE;

	(void)state;
	line = step(&k, &a, RM_SCRAM_SHA_256, 0, BYTES_NONE);
	assert_memory_equal(line, "AUTH SCRAM-SHA-256 ", 19);
	assert_int_equal(
	    base64_decode(bytes_first(bytes_skip(bytes_of_string(line), 19), strlen(line) - 21), &first), OK);
	assert_int_equal(scram_first_take(buf_bytes(&first), false, &f, &why), OK);
	assert_int_equal(scram_server_begin(f.nonce, "server", BYTES("salt"), SCRAM_ITERATIONS_MIN, &server_first), OK);
	nonce = bytes_skip(buf_bytes(&server_first), 2);
	wire_put(&tail, buf_bytes(&server_first));
	wire_put(&tail, bytes_first(nonce, bytes_find(nonce, ',')));
	wire_put(&tail, BYTES("salt"));
	assert_int_equal(ask(&k, &a, &final, buf_bytes(&tail), rig.line[0]), OK);
	assert_true(was_said(&expected));
	line = next_line();
	assert_int_equal(base64_decode(bytes_first(bytes_of_string(line), strlen(line) - 2), &decoded), OK);
	assert_int_equal(scram_derive(BYTES("pencil"), BYTES("salt"), SCRAM_ITERATIONS_MIN, &keys, &why), OK);
	assert_int_equal(scram_server_end(&keys, &f, buf_bytes(&server_first), buf_bytes(&decoded), &answer, &why), OK);
	assert_true(bytes_equal(bytes_skip(buf_bytes(&answer), 2), expected));
}

static void
a_foreign_nonce_gets_no_proof(void **state)
{
	struct credentials k = { 0 };
	struct access a = an_access();
	struct rm_auth final = { .mechanism = RM_SCRAM_SHA_256, .step = 1, .iterations = SCRAM_ITERATIONS_MIN };
	uint8_t room[256];
	struct buf tail = BUF_OVER(room);
	struct bytes text;

	(void)state;
	(void)step(&k, &a, RM_SCRAM_SHA_256, 0, BYTES_NONE);
	wire_put(&tail, BYTES("r=foreign,s=c2FsdA==,i=4096"));
	wire_put(&tail, BYTES("foreign"));
	wire_put(&tail, BYTES("salt"));
	assert_int_equal(ask(&k, &a, &final, buf_bytes(&tail), rig.line[0]), OK);
	assert_false(was_said(&text));
	assert_string_equal(next_line(), "");
	k.step = 0;
	final.iterations = 1 << 30;
	assert_int_equal(ask(&k, &a, &final, buf_bytes(&tail), rig.line[0]), OK);
	assert_false(was_said(&text));
}

static void
steps_out_of_turn_end_the_session(void **state)
{
	static const struct rm_auth wrong[] = {
		{ .mechanism = RM_PLAIN, .step = 1 },
		{ .mechanism = RM_LOGIN, .step = 2 },
		{ .mechanism = RM_LOGIN, .step = 3 },
		{ .mechanism = RM_CRAM_MD5, .step = 1 },
		{ .mechanism = 4 },
		{ .mechanism = 255, .step = 255 },
	};
	struct access a = an_access(), nobody = { .conn = "1jtestconn0" };
	struct rm_auth plain = { .mechanism = RM_PLAIN };
	struct credentials k = { 0 };

	(void)state;
	for (size_t i = 0; i < nitems(wrong); i++)
		assert_int_equal(ask(&k, &a, &wrong[i], BYTES_NONE, rig.line[0]), MALFORMED);
	assert_int_equal(ask(&k, &nobody, &plain, BYTES_NONE, rig.line[0]), MALFORMED);
	for (unsigned i = 0; i < LOGINS_MAX; i++)
		(void)step(&k, &a, RM_PLAIN, 0, BYTES_NONE);
	assert_int_equal(ask(&k, &a, &plain, BYTES_NONE, rig.line[0]), MALFORMED);
	assert_string_equal(next_line(), "");
}

static void
a_password_goes_into_nothing_but_a_fit_connection(void **state)
{
	struct rm_auth plain = { .mechanism = RM_PLAIN };
	struct access a = an_access();
	struct credentials k = { 0 };
	int inet = socket(AF_INET, SOCK_STREAM, 0), file = open("/dev/null", O_RDWR | O_CLOEXEC), pair[2];
	struct bytes text;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(ask(&k, &a, &plain, BYTES_NONE, inet), OK);
	assert_false(was_said(&text));
	assert_true(bytes_starts(text, BYTES("a password is not said without TLS")));
	assert_int_equal(ask(&k, &a, &plain, BYTES_NONE, file), OK);
	assert_false(was_said(&text));
	assert_int_equal(ask(&k, &a, &plain, BYTES_NONE, pair[0]), OK);
	assert_false(was_said(&text));
	a.plain = true;
	assert_int_equal(ask(&k, &a, &plain, BYTES_NONE, inet), OK);
	assert_false(was_said(&text)); /* it is not connected */
	assert_true(bytes_starts(text, BYTES("the connection does not take")));
	close(inet);
	close(file);
	close(pair[0]);
	close(pair[1]);
}

/* One that nobody reads must not hold up all deliveries. */
static void
a_full_connection_is_not_waited_for(void **state)
{
	struct rm_auth plain = { .mechanism = RM_PLAIN };
	struct access a = an_access();
	struct credentials k = { 0 };
	struct bytes text;
	char octets[4096];

	(void)state;
	memset(octets, 'x', sizeof octets);
	while (send(rig.line[0], octets, sizeof octets, MSG_DONTWAIT) > 0)
		;
	assert_int_equal(ask(&k, &a, &plain, BYTES_NONE, rig.line[0]), OK);
	assert_false(was_said(&text));
	while (recv(rig.line[1], octets, sizeof octets, MSG_DONTWAIT) > 0)
		;
}

/* ---- signers ---- */

static enum result
want_signer(struct credentials *k, const struct access *a)
{
	struct wire_message m = { .type = RM_WANT_SIGNER, .ref = 9 };
	struct why why = WHY_NONE;

	return credentials_answer(k, a, &rig.port, &m, &why);
}

static void
a_signer_is_bought_for_the_senders_certificate(void **state)
{
	struct channel from_send = channel_of(rig.keyload, &policy_keyload_protocol, PK_KEYLOAD, true),
		       session = channel_of(rig.remote, &send_remote_protocol, RM_REMOTE, true);
	struct credentials k = { 0 };
	struct access a = an_access();
	const struct pk_signer *p;
	struct why why = WHY_NONE;
	struct wire_message m;
	char octet = 0;
	int its;

	(void)state;
	assert_int_equal(want_signer(&k, &a), OK);
	assert_int_equal(channel_receive(&from_send, &rig.buffer, &m, &why), OK);
	p = m.body;
	assert_int_equal(p->role, PK_TLS_CLIENT);
	assert_string_equal(p->conn, "1jtestconn0");
	assert_true(bytes_equal(m.tail, a.certificate));
	its = m.fds[0];
	assert_int_equal(channel_receive(&session, &rig.buffer, &m, &why), OK);
	assert_int_equal(m.type, RM_SIGNER);
	assert_int_equal(m.ref, 9);
	assert_int_equal(send(m.fds[0], "x", 1, 0), 1); /* the two are one channel */
	assert_int_equal(recv(its, &octet, 1, 0), 1);
	wire_close_fds(&m);
	close(its);
	assert_int_equal(want_signer(&k, &(struct access){ .conn = "1jtestconn0" }), MALFORMED);
	for (unsigned i = 1; i < RM_SIGNERS_MAX; i++) {
		assert_int_equal(want_signer(&k, &a), OK);
		assert_int_equal(channel_receive(&from_send, &rig.buffer, &m, &why), OK);
		wire_close_fds(&m);
		assert_int_equal(channel_receive(&session, &rig.buffer, &m, &why), OK);
		wire_close_fds(&m);
	}
	assert_int_equal(want_signer(&k, &a), MALFORMED);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(plain_login_and_cram_md5_are_said, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    scram_is_said_and_its_server_is_known_by_its_signature, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_foreign_nonce_gets_no_proof, set_up, tear_down),
		cmocka_unit_test_setup_teardown(steps_out_of_turn_end_the_session, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_password_goes_into_nothing_but_a_fit_connection, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_full_connection_is_not_waited_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_signer_is_bought_for_the_senders_certificate, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
