/* Authentication in the process `policy`: what it lets front ends do, what it believes. listen, front ends and auth are this
 * test. */
#include "policy_rig.h"

#include "wire/policy_pop3box.h"

#include <stdio.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct wire_buffer auth_buffer;

static struct wire_message
auth_receives(uint16_t type)
{
	struct wire_message m;
	struct why why = WHY_NONE;

	assert_int_equal(channel_receive(&auth_end, &auth_buffer, &m, &why), OK);
	assert_int_equal(m.type, type);
	return m;
}

static void
auth_says(uint64_t ref, uint16_t code, const char *user, const char *text)
{
	struct pa_result result = { .code = code };
	uint8_t room[1000];
	struct buf tail = BUF_OVER(room);
	struct why why = WHY_NONE;

	wire_put_string(&tail, user);
	wire_put_string(&tail, text);
	assert_int_equal(channel_send(&auth_end, PA_RESULT, ref, &result, buf_bytes(&tail), NULL, &why), OK);
}

static void
expect_challenge(struct channel *c, const char *text)
{
	struct wire_message m;
	struct why why = WHY_NONE;

	assert_int_equal(channel_receive(c, &rig_buffer, &m, &why), OK);
	assert_int_equal(m.type, SP_CHALLENGE);
	assert_true(bytes_equal(m.tail, bytes_of_string(text)));
}

/* the front end is done with: what it said can't be */
static void
expect_gone(struct channel *c)
{
	struct wire_message m;
	struct why why = WHY_NONE;

	assert_int_equal(channel_receive(c, &rig_buffer, &m, &why), ABSENT);
	channel_close(c);
}

static void
say_auth(struct channel *c, enum sp_mechanism mechanism, const char *response)
{
	struct sp_auth auth = { .mechanism = (uint8_t)mechanism, .initial = response != NULL };

	rig_say(c, SP_AUTH, &auth, bytes_of_string(response));
}

static const struct sp_welcome *
welcomed(struct channel *c, char text[SP_TEXT_MAX + 1])
{
	struct wire_message m;
	struct bytes fields[2];
	struct why why = WHY_NONE;

	assert_int_equal(channel_receive(c, &rig_buffer, &m, &why), OK);
	assert_int_equal(m.type, SP_WELCOME);
	assert_true(wire_take_all(m.tail, fields, 2));
	(void)snprintf(text, SP_TEXT_MAX + 1, "%.*s", (int)fields[1].len, (const char *)fields[1].at);
	return m.body;
}

static struct channel
log_in(uint64_t *ref)
{
	struct channel c = connect_peer(clear, LP_IPV4);
	char text[SP_TEXT_MAX + 1];

	(void)welcomed(&c, text);
	say_auth(&c, SP_PLAIN, "AGEAYg==");
	*ref = auth_receives(PA_BEGIN).ref;
	auth_says(*ref, 235, "joe", "welcome");
	expect_answer(&c, 235, "0.0.0");
	return c;
}

static void
what_is_offered_depends_on_tls_and_rule(void **state)
{
	struct channel c;
	const struct sp_welcome *w;
	char text[SP_TEXT_MAX + 1], other[SP_TEXT_MAX + 1];

	(void)state;
	rig_start_as("pop3");
	c = connect_peer(anybody, LP_IPV4);
	w = welcomed(&c, text);
	assert_int_equal(w->mechanisms, 0);
	assert_int_equal(w->secure_mechanisms, 1 << SP_PLAIN | 1 << SP_CRAM_MD5 | 1 << SP_APOP | 1 << SP_EXTERNAL);
	assert_int_equal(w->session_seconds, 180);
	channel_close(&c);
	c = connect_peer(clear, LP_IPV4);
	w = welcomed(&c, other);
	assert_int_equal(w->mechanisms, 1 << SP_PLAIN | 1 << SP_CRAM_MD5 | 1 << SP_APOP);
	assert_int_equal(strncmp(text, "mx.example.org POP3 <00000000001.", 33), 0);
	assert_string_equal(text + strlen(text) - 16, "@mx.example.org>");
	assert_string_not_equal(text, other);
	channel_close(&c);
}

static void
smtp_has_no_apop_and_goes_on_after_authentication(void **state)
{
	struct channel c;
	uint64_t ref;

	(void)state;
	rig_start_as("submission");
	c = log_in(&ref);
	rig_mail(&c, "client.example", "joe@local.example", 0);
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	say_auth(&c, SP_PLAIN, "AGEAYg==");
	expect_gone(&c);
	(void)auth_receives(PA_FORGET);
	c = connect_peer(clear, LP_IPV4);
	{
		char text[SP_TEXT_MAX + 1];
		const struct sp_welcome *w = welcomed(&c, text);

		assert_int_equal(w->mechanisms, 1 << SP_PLAIN | 1 << SP_CRAM_MD5);
		assert_string_equal(text, "mx.example.org ESMTP");
	}
	say_auth(&c, SP_APOP, "AGEAYg==");
	expect_gone(&c);
}

static void
an_exchange_goes_through_word_by_word(void **state)
{
	struct channel c;
	struct wire_message m;
	struct bytes fields[4];
	struct why why = WHY_NONE;
	char text[SP_TEXT_MAX + 1];
	uint64_t ref;

	(void)state;
	rig_start_as("pop3");
	c = connect_peer(clear, LP_IPV4);
	(void)welcomed(&c, text);
	say_auth(&c, SP_CRAM_MD5, NULL);
	m = auth_receives(PA_BEGIN);
	ref = m.ref;
	assert_int_equal(((const struct pa_begin *)m.body)->mechanism, SP_CRAM_MD5);
	assert_int_equal(((const struct pa_begin *)m.body)->initial, 0);
	assert_int_equal(((const struct pa_begin *)m.body)->secure, 0);
	assert_memory_equal(((const struct pa_begin *)m.body)->remote, clear, 4);
	assert_true(wire_take_all(m.tail, fields, 4));
	assert_int_equal(fields[0].len, 0);
	assert_true(bytes_equal(fields[1], bytes_of_string(strchr(text, '<'))));
	assert_int_equal(channel_send(&auth_end, PA_CHALLENGE, ref, NULL, BYTES("PDE+"), NULL, &why), OK);
	expect_challenge(&c, "PDE+");
	rig_say(&c, SP_SASL, NULL, BYTES("am9l"));
	m = auth_receives(PA_RESPONSE);
	assert_int_equal(m.ref, ref);
	assert_true(bytes_equal(m.tail, BYTES("am9l")));
	auth_says(ref, 535, "", "no");
	expect_answer(&c, 535, "0.0.0");
	say_auth(&c, SP_PLAIN, "");
	m = auth_receives(PA_BEGIN);
	assert_int_equal(((const struct pa_begin *)m.body)->initial, 1);
	assert_int_not_equal(m.ref, ref);
	auth_says(ref, 235, "joe", "a late answer"); /* is nobody's */
	auth_says(m.ref, 454, "", "later");
	expect_answer(&c, 454, "0.0.0");
	say_auth(&c, SP_PLAIN,
	    ""); /* auth has forgotten those that failed of itself, and is told of the one under way alone */
	ref = auth_receives(PA_BEGIN).ref;
	channel_close(&c);
	assert_int_equal(auth_receives(PA_FORGET).ref, ref);
}

static void
a_front_end_out_of_turn_is_gone(void **state)
{
	static const struct {
		uint16_t type;
		const char *tail;
	} rows[] = { { SP_SASL, "x" }, { SP_RESET, "" }, { SP_DATA, "" } };
	struct channel c;
	char text[SP_TEXT_MAX + 1];
	struct sp_box box = { 0 };
	struct why why = WHY_NONE;

	(void)state;
	rig_start_as("pop3");
	for (size_t i = 0; i < nitems(rows); i++) {
		c = connect_peer(clear, LP_IPV4);
		(void)welcomed(&c, text);
		rig_say(&c, rows[i].type, NULL, bytes_of_string(rows[i].tail));
		expect_gone(&c);
	}
	c = connect_peer(clear, LP_IPV4); /* not logged in */
	(void)welcomed(&c, text);
	assert_int_equal(channel_send(&c, SP_BOX, 0, &box, BYTES_NONE, NULL, &why), OK);
	expect_gone(&c);
	c = connect_peer(clear, LP_IPV4); /* while auth works on it */
	(void)welcomed(&c, text);
	say_auth(&c, SP_PLAIN, "");
	(void)auth_receives(PA_BEGIN);
	assert_int_equal(channel_send(&c, SP_BOX, 0, &box, BYTES_NONE, NULL, &why), OK);
	expect_gone(&c);
	(void)auth_receives(PA_FORGET);
	c = connect_peer(anybody, LP_IPV4); /* not offered without TLS */
	(void)welcomed(&c, text);
	say_auth(&c, SP_PLAIN, "");
	expect_gone(&c);
	c = connect_peer(clear, LP_IPV4);
	(void)welcomed(&c, text);
	say_auth(&c, SP_SCRAM_SHA_256, "");
	expect_gone(&c);
	c = connect_peer(clear, LP_IPV4);
	(void)welcomed(&c, text);
	say_auth(&c, (enum sp_mechanism)200, "");
	expect_gone(&c);
}

static void
after_the_login_the_users_process_gets_the_session(void **state)
{
	struct sp_box box = { .utf8 = 1 };
	struct channel c, box_end;
	static struct wire_buffer buffer;
	struct wire_message m;
	const struct pb_session *session;
	struct bytes fields[2];
	struct why why = WHY_NONE;
	uint64_t ref;
	uint32_t first_slot;
	char octet;

	(void)state;
	rig_start_as("pop3s");
	c = log_in(&ref);
	first_slot = 0;
	rig_say(&c, SP_BOX, &box, BYTES("STAT\r\n"));
	expect_gone(&c);
	m = auth_receives(PA_BOX);
	assert_int_equal(m.ref, ref);
	box_end = channel_of(m.fds[0], &policy_pop3box_protocol, PB_POP3BOX, true);
	assert_int_equal(channel_receive(&box_end, &buffer, &m, &why), OK);
	session = m.body;
	assert_int_equal(session->flags, PB_UTF8);
	assert_int_equal(session->idle_seconds, 1200);
	assert_string_equal(session->conn, "00000000001");
	assert_true(wire_take_all(m.tail, fields, 2));
	assert_true(bytes_equal(fields[0], BYTES("joe")));
	assert_true(bytes_equal(fields[1], BYTES("STAT\r\n")));
	assert_int_equal(write(m.fds[0], "x", 1), 1);
	assert_int_equal(read(rig_peer, &octet, 1), 1); /* the connection that listen gave */
	wire_close_fds(&m);
	assert_int_equal(read(rig_peer, &octet, 1), 0); /* which policy has no longer */
	/* the session goes on until that process has ended */
	c = log_in(&ref);
	channel_close(&c);
	expect_ended(1);
	channel_close(&box_end);
	expect_ended(first_slot);
}

static void
nothing_comes_of_a_session_that_says_more_after_it_was_handed_over(void **state)
{
	struct sp_box box = { 0 };
	struct channel c;
	struct wire_message m;
	uint64_t ref;

	(void)state;
	rig_start_as("pop3");
	c = log_in(&ref);
	(void)kill(rig_child, SIGSTOP); /* so that it finds both at once */
	rig_say(&c, SP_BOX, &box, BYTES_NONE);
	rig_say(&c, SP_BOX, &box, BYTES_NONE);
	(void)kill(rig_child, SIGCONT);
	m = auth_receives(PA_BOX);
	wire_close_fds(&m);
	expect_gone(&c);
	expect_ended(0);
	c = log_in(&ref); /* the next that auth hears is another session's */
	channel_close(&c);
}

static void
without_auth_nothing_is_offered_and_who_waits_is_answered(void **state)
{
	struct channel c;
	const struct sp_welcome *w;
	char text[SP_TEXT_MAX + 1];

	(void)state;
	rig_start_as("pop3");
	c = connect_peer(clear, LP_IPV4);
	(void)welcomed(&c, text);
	say_auth(&c, SP_PLAIN, "");
	(void)auth_receives(PA_BEGIN);
	channel_close(&auth_end);
	expect_answer(&c, 454, "4.7.0");
	channel_close(&c);
	c = connect_peer(clear, LP_IPV4);
	w = welcomed(&c, text);
	assert_int_equal(w->mechanisms | w->secure_mechanisms, 0);
	assert_string_equal(text, "mx.example.org POP3");
	channel_close(&c);
}

static void
an_auth_that_talks_nonsense_lets_nobody_in(void **state)
{
	static const struct {
		uint16_t code;
		const char *user;
	} rows[] = { { 235, "" }, { 250, "joe" }, { 535, "joe" }, { 0, "" }, { 600, "" } };
	struct channel c;
	char text[SP_TEXT_MAX + 1];

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		if (i > 0)
			(void)rig_set_up(state);
		rig_start_as("pop3");
		c = connect_peer(clear, LP_IPV4);
		(void)welcomed(&c, text);
		say_auth(&c, SP_PLAIN, "");
		auth_says(auth_receives(PA_BEGIN).ref, rows[i].code, rows[i].user, "text");
		expect_answer(&c, 454, "4.7.0");
		channel_close(&c);
		if (i + 1 < nitems(rows))
			(void)rig_tear_down(state);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)
		TEST(what_is_offered_depends_on_tls_and_rule),
		TEST(smtp_has_no_apop_and_goes_on_after_authentication),
		TEST(an_exchange_goes_through_word_by_word),
		TEST(a_front_end_out_of_turn_is_gone),
		TEST(after_the_login_the_users_process_gets_the_session),
		TEST(nothing_comes_of_a_session_that_says_more_after_it_was_handed_over),
		TEST(without_auth_nothing_is_offered_and_who_waits_is_answered),
		TEST(an_auth_that_talks_nonsense_lets_nobody_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
