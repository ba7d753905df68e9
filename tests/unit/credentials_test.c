/* What a session of remote gets of logins, and what it does not. */
#include "credentials_rig.h"

#include "base/base64.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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
	assert_int_equal(crig_ask(k, a, &auth, buf_bytes(&tail), rig.line[0]), OK);
	assert_true(crig_said(&text));
	return next_line();
}

static void
plain_login_and_cram_md5_are_said(void **state)
{
	struct credentials k = crig_made(rig.line[0]);
	struct access a = crig_access();

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
	struct credentials k = crig_made(rig.line[0]);
	struct access a = crig_access();
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
	assert_int_equal(crig_ask(&k, &a, &final, buf_bytes(&tail), rig.line[0]), OK);
	assert_true(crig_said(&expected));
	line = next_line();
	assert_int_equal(base64_decode(bytes_first(bytes_of_string(line), strlen(line) - 2), &decoded), OK);
	assert_int_equal(scram_derive(BYTES("pencil"), BYTES("salt"), SCRAM_ITERATIONS_MIN, &keys, &why), OK);
	assert_int_equal(scram_server_end(&keys, &f, buf_bytes(&server_first), buf_bytes(&decoded), &answer, &why), OK);
	assert_true(bytes_equal(bytes_skip(buf_bytes(&answer), 2), expected));
}

static void
a_foreign_nonce_gets_no_proof(void **state)
{
	struct credentials k = crig_made(rig.line[0]);
	struct access a = crig_access();
	struct rm_auth final = { .mechanism = RM_SCRAM_SHA_256, .step = 1, .iterations = SCRAM_ITERATIONS_MIN };
	uint8_t room[256];
	struct buf tail = BUF_OVER(room);
	struct bytes text;

	(void)state;
	(void)step(&k, &a, RM_SCRAM_SHA_256, 0, BYTES_NONE);
	wire_put(&tail, BYTES("r=foreign,s=c2FsdA==,i=4096"));
	wire_put(&tail, BYTES("foreign"));
	wire_put(&tail, BYTES("salt"));
	assert_int_equal(crig_ask(&k, &a, &final, buf_bytes(&tail), rig.line[0]), OK);
	assert_false(crig_said(&text));
	assert_string_equal(next_line(), "");
	k.step = 0;
	final.iterations = 1 << 30;
	assert_int_equal(crig_ask(&k, &a, &final, buf_bytes(&tail), rig.line[0]), OK);
	assert_false(crig_said(&text));
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
	struct access a = crig_access(), nobody = { .conn = "1jtestconn0" };
	struct rm_auth plain = { .mechanism = RM_PLAIN };
	struct credentials k = crig_made(rig.line[0]);

	(void)state;
	for (size_t i = 0; i < nitems(wrong); i++)
		assert_int_equal(crig_ask(&k, &a, &wrong[i], BYTES_NONE, rig.line[0]), MALFORMED);
	assert_int_equal(crig_ask(&k, &nobody, &plain, BYTES_NONE, rig.line[0]), MALFORMED);
	for (unsigned i = 0; i < LOGINS_MAX; i++)
		(void)step(&k, &a, RM_PLAIN, 0, BYTES_NONE);
	assert_int_equal(crig_ask(&k, &a, &plain, BYTES_NONE, rig.line[0]), MALFORMED);
	assert_string_equal(next_line(), "");
}

/* A remote that was taken over would choose the one that gives the password away. */
static void
no_mechanism_is_said_that_the_administrator_left_out(void **state)
{
	struct access a = crig_access();
	struct rm_peer peer = *a.peer;
	struct rm_auth auth = { .mechanism = RM_PLAIN };
	struct credentials k = crig_made(rig.line[0]);

	(void)state;
	peer.auth = 1u << RM_SCRAM_SHA_256;
	a.peer = &peer;
	assert_int_equal(crig_ask(&k, &a, &auth, BYTES_NONE, rig.line[0]), MALFORMED);
	auth.mechanism = RM_LOGIN;
	assert_int_equal(crig_ask(&k, &a, &auth, BYTES_NONE, rig.line[0]), MALFORMED);
	assert_string_equal(next_line(), "");
	assert_true(step(&k, &a, RM_SCRAM_SHA_256, 0, BYTES_NONE)[0] == 'A');
}

static void
a_password_goes_into_nothing_but_a_fit_connection(void **state)
{
	struct rm_auth plain = { .mechanism = RM_PLAIN };
	struct access a = crig_access();
	struct credentials k = CREDENTIALS_NONE;
	int inet = socket(AF_INET, SOCK_STREAM, 0), file = open("/dev/null", O_RDWR | O_CLOEXEC), pair[2];
	struct bytes text;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(crig_ask(&k, &a, &plain, BYTES_NONE, inet), OK);
	assert_false(crig_said(&text));
	assert_true(bytes_starts(text, BYTES("a password is not said without TLS")));
	assert_int_equal(crig_ask(&k, &a, &plain, BYTES_NONE, file), OK);
	assert_false(crig_said(&text));
	assert_int_equal(crig_ask(&k, &a, &plain, BYTES_NONE, pair[0]), OK);
	assert_false(crig_said(&text));
	k.securing.ours = rig.line[1]; /* the other end is remote's own, and so may be the other connection's */
	assert_int_equal(crig_ask(&k, &a, &plain, BYTES_NONE, rig.line[0]), OK);
	assert_false(crig_said(&text));
	a.plain = true;
	assert_int_equal(crig_ask(&k, &a, &plain, BYTES_NONE, rig.line[0]), OK);
	assert_false(crig_said(&text)); /* a pair is no connection in plain text */
	assert_string_equal(next_line(), "");
	assert_int_equal(crig_ask(&k, &a, &plain, BYTES_NONE, inet), OK);
	assert_false(crig_said(&text)); /* it is not connected */
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
	struct access a = crig_access();
	struct credentials k = crig_made(rig.line[0]);
	struct bytes text;
	char octets[4096];

	(void)state;
	memset(octets, 'x', sizeof octets);
	while (send(rig.line[0], octets, sizeof octets, MSG_DONTWAIT) > 0)
		;
	assert_int_equal(crig_ask(&k, &a, &plain, BYTES_NONE, rig.line[0]), OK);
	assert_false(crig_said(&text));
	while (recv(rig.line[1], octets, sizeof octets, MSG_DONTWAIT) > 0)
		;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(plain_login_and_cram_md5_are_said, crig_set_up, crig_tear_down),
		cmocka_unit_test_setup_teardown(
		    scram_is_said_and_its_server_is_known_by_its_signature, crig_set_up, crig_tear_down),
		cmocka_unit_test_setup_teardown(a_foreign_nonce_gets_no_proof, crig_set_up, crig_tear_down),
		cmocka_unit_test_setup_teardown(steps_out_of_turn_end_the_session, crig_set_up, crig_tear_down),
		cmocka_unit_test_setup_teardown(
		    no_mechanism_is_said_that_the_administrator_left_out, crig_set_up, crig_tear_down),
		cmocka_unit_test_setup_teardown(
		    a_password_goes_into_nothing_but_a_fit_connection, crig_set_up, crig_tear_down),
		cmocka_unit_test_setup_teardown(a_full_connection_is_not_waited_for, crig_set_up, crig_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
