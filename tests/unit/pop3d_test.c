/* A session of pop3d between a peer and a policy that says what it likes: right, wrong or nothing.
 * Trusts lib/wire, which carries what is said.
 * Never connects to anything: all that both will say is in the sockets before the session begins. */
#include "unit.h"

#include "base/base64.h"
#include "pop3d/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HELLO "+OK hello <1.2@host>\r\n"
#define TEMP "-ERR [SYS/TEMP] this host can't serve you now\r\n"
#define ALL ((1u << SP_N_MECHANISMS) - 1)

static struct {
	int peer, session_peer, session_policy;
	struct channel policy;
	char replies[65536];
} rig;

static void
set_up_octets(const char *says, size_t len)
{
	int peer[2], policy[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, peer), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, policy), 0);
	rig.peer = peer[1];
	rig.session_peer = peer[0];
	rig.session_policy = policy[0];
	rig.policy = channel_of(policy[1], &smtpd_policy_protocol, SP_POLICY, false);
	assert_int_equal(send(rig.peer, says, len, 0), len);
	assert_int_equal(shutdown(rig.peer, SHUT_WR), 0);
}

static void
set_up(const char *peer_says)
{
	set_up_octets(peer_says, strlen(peer_says));
}

static void
policy_says(uint16_t type, const void *body, const char *tail, const int *fds)
{
	struct why why = WHY_NONE;

	assert_int_equal(channel_send(&rig.policy, type, 0, body, bytes_of_string(tail), fds, &why), OK);
}

static void
welcome(uint32_t flags, unsigned mechanisms, unsigned secure, const char *text)
{
	struct sp_welcome w = { .idle_seconds = 2,
		.session_seconds = 60,
		.max_errors = 20,
		.flags = flags,
		.code = flags & SP_REFUSED ? 554 : 220,
		.mechanisms = (uint16_t)mechanisms,
		.secure_mechanisms = (uint16_t)secure };
	uint8_t room[1024];
	struct buf tail = BUF_OVER(room);
	struct why why = WHY_NONE;

	wire_put_string(&tail, "host");
	wire_put_string(&tail, text);
	assert_int_equal(channel_send(&rig.policy, SP_WELCOME, 0, &w, buf_bytes(&tail), NULL, &why), OK);
}

static void
hello(unsigned mechanisms)
{
	welcome(0, mechanisms, 0, "hello <1.2@host>");
}

static void
answer(uint16_t code, const char *text)
{
	policy_says(SP_ANSWER, &(struct sp_answer){ .code = code }, text, NULL);
}

/* runs it; what the peer got */
static const char *
run(void)
{
	struct session *s = calloc(1, sizeof *s);
	size_t len = 0;
	ssize_t n;

	assert_non_null(s);
	session_run(s, rig.session_peer, rig.session_policy, "conn");
	free(s);
	while ((n = recv(rig.peer, rig.replies + len, sizeof rig.replies - 1 - len, MSG_DONTWAIT)) > 0)
		len += (size_t)n;
	rig.replies[len] = '\0';
	return rig.replies;
}

/* the request that the session sent next, without what is only for the log; its tail, with bars for zeros, until the next
 * call */
static const char *
request(uint16_t type, bool encoded)
{
	static struct wire_buffer buffer;
	static uint8_t room[5000];
	struct buf text = BUF_OVER(room);
	struct wire_message m;
	struct why why = WHY_NONE;

	do
		if (channel_receive(&rig.policy, &buffer, &m, &why) != OK)
			return "nothing";
	while (m.type == SP_TELL && type != SP_TELL);
	if (m.type != type)
		return smtpd_policy_protocol.rows[m.type].name;
	if (encoded)
		assert_int_equal(base64_decode(m.tail, &text), OK);
	else
		buf_add(&text, m.tail);
	wire_close_fds(&m);
	for (size_t i = 0; i < text.len; i++)
		text.at[i] = text.at[i] == 0 ? '|' : text.at[i];
	return buf_string(&text);
}

static void
tear_down(void)
{
	(void)close(rig.peer);
	channel_close(&rig.policy);
}

static void
a_login_hands_the_session_over_with_what_was_said_behind_it(void **state)
{
	(void)state;
	set_up("USER alice\r\nPASS  secret with blanks \r\nSTAT\r\nQU");
	hello(ALL);
	answer(235, "welcome");
	assert_string_equal(run(), HELLO "+OK\r\n"); /* the user's process says the rest */
	assert_string_equal(request(SP_AUTH, true), "|alice| secret with blanks ");
	assert_string_equal(request(SP_BOX, false), "STAT\r\nQU");
	assert_string_equal(request(SP_BOX, false), "nothing");
	tear_down();
}

static void
the_hand_over_takes_no_descriptor_of_the_front_end(void **state)
{
	static struct wire_buffer buffer;
	struct wire_message m;
	struct why why = WHY_NONE;

	(void)state;
	set_up("UTF8\r\nUSER a\r\nPASS b\r\n");
	hello(ALL);
	answer(235, "welcome");
	(void)run();
	assert_int_equal(channel_receive(&rig.policy, &buffer, &m, &why), OK);
	assert_int_equal(channel_receive(&rig.policy, &buffer, &m, &why), OK);
	assert_int_equal(m.type, SP_BOX);
	assert_int_equal(((const struct sp_box *)m.body)->utf8, 1);
	assert_int_equal(m.n_fds, 0);
	assert_int_equal(channel_receive(&rig.policy, &buffer, &m, &why), ABSENT); /* nothing is left of it */
	tear_down();
}

static void
a_refused_login_can_be_tried_again(void **state)
{
	(void)state;
	set_up("USER a\r\nPASS b\r\nPASS c\r\nUSER a\r\nPASS c\r\nUSER a\r\nPASS d\r\nQUIT\r\n");
	hello(ALL);
	answer(535, "no");
	answer(454, "later");
	answer(501, "what");
	assert_string_equal(run(),
	    HELLO "+OK\r\n-ERR [AUTH] no\r\n-ERR say USER first\r\n+OK\r\n-ERR [SYS/TEMP] later\r\n"
		  "+OK\r\n-ERR what\r\n+OK bye\r\n");
	tear_down();
}

static void
nothing_is_done_before_the_login(void **state)
{
	static const char *const lines[] = { "STAT", "LIST", "RETR 1", "DELE 1", "NOOP", "RSET", "TOP 1 1", "UIDL",
		"LAST", "PASS x", "XYZZY", "", "STLS", "STLS x", "AUTH GSSAPI", "USER", "APOP", "AUTH PLAIN a b",
		"UTF8 x" };

	(void)state;
	for (size_t i = 0; i < nitems(lines); i++) {
		char says[100];

		(void)snprintf(says, sizeof says, "%s\r\nQUIT\r\n", lines[i]);
		set_up(says);
		hello(ALL);
		if (strncmp(run(), HELLO "-ERR ", strlen(HELLO) + 5) != 0 || strstr(rig.replies, "+OK bye") == NULL)
			fail_msg("%s: %s", lines[i], rig.replies);
		assert_string_equal(request(SP_AUTH, false), "nothing");
		tear_down();
	}
}

static void
an_exchange_is_carried_line_by_line(void **state)
{
	(void)state;
	set_up("AUTH cram-md5\r\nUVc=\r\nAUTH LOGIN\r\n*\r\nAUTH PLAIN =\r\nQUIT\r\n");
	hello(ALL);
	policy_says(SP_CHALLENGE, NULL, "PDFAYj4=", NULL);
	answer(535, "no");
	policy_says(SP_CHALLENGE, NULL, "", NULL);
	answer(501, "cancelled");
	answer(535, "no");
	assert_string_equal(
	    run(), HELLO "+ PDFAYj4=\r\n-ERR [AUTH] no\r\n+ \r\n-ERR cancelled\r\n-ERR [AUTH] no\r\n+OK bye\r\n");
	assert_string_equal(request(SP_AUTH, false), "");
	assert_string_equal(request(SP_SASL, false), "UVc=");
	assert_string_equal(request(SP_AUTH, false), "");
	assert_string_equal(request(SP_SASL, false), "*");
	assert_string_equal(request(SP_AUTH, false), "");
	tear_down();
}

static void
a_response_that_can_not_be_cancels(void **state)
{
	static char says[8000];
	size_t n;

	(void)state;
	n = (size_t)snprintf(says, sizeof says, "AUTH LOGIN\r\n");
	memset(says + n, 'A', 6000);
	(void)snprintf(says + n + 6000, 100, "\r\nAUTH LOGIN\r\nA\rB\r\nQUIT\r\n");
	set_up(says);
	hello(ALL);
	for (int i = 0; i < 2; i++) {
		policy_says(SP_CHALLENGE, NULL, "", NULL);
		answer(501, "cancelled");
	}
	assert_string_equal(run(), HELLO "+ \r\n-ERR cancelled\r\n+ \r\n-ERR cancelled\r\n+OK bye\r\n");
	assert_string_equal(request(SP_AUTH, false), "");
	assert_string_equal(request(SP_SASL, false), "*");
	tear_down();
}

static void
apop_needs_a_timestamp(void **state)
{
	(void)state;
	set_up("APOP alice c4c9334bac560ecc979e58001b3e22fb\r\n");
	hello(ALL);
	answer(235, "welcome");
	assert_string_equal(run(), HELLO);
	assert_string_equal(request(SP_AUTH, true), "alice c4c9334bac560ecc979e58001b3e22fb");
	tear_down();
	set_up("APOP alice c4c9334bac560ecc979e58001b3e22fb\r\nQUIT\r\n");
	welcome(0, ALL, 0, "hello");
	assert_string_equal(run(), "+OK hello\r\n-ERR APOP is not offered: see CAPA\r\n+OK bye\r\n");
	tear_down();
}

static void
what_is_offered_depends_on_tls(void **state)
{
	static const char common[] =
	    "+OK\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\n";
	char should[1000];
	int pair[2];

	(void)state;
	set_up("CAPA\r\nUSER a\r\nPASS b\r\nAUTH PLAIN\r\nAUTH\r\nQUIT\r\n");
	welcome(SP_STARTTLS, 0, 1u << SP_PLAIN, "hello");
	(void)snprintf(should, sizeof should,
	    "+OK hello\r\n%sUTF8\r\nSTLS\r\n.\r\n-ERR not without TLS: say STLS first\r\n-ERR say USER first\r\n"
	    "-ERR not without TLS: say STLS first\r\n+OK\r\n.\r\n+OK bye\r\n",
	    common);
	assert_string_equal(run(), should);
	tear_down();

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	set_up("");
	welcome(SP_STARTTLS | SP_TLS_AT_ONCE, 0, 1u << SP_PLAIN | 1u << SP_EXTERNAL, "hello");
	policy_says(SP_TLS_PLAIN, NULL, "", &pair[0]);
	(void)close(pair[0]);
	assert_int_equal(write(pair[1], "CAPA\r\nSTLS\r\nAUTH\r\nQUIT\r\n", 25), 25);
	(void)run();
	rig.replies[recv(pair[1], rig.replies, sizeof rig.replies - 1, 0)] = '\0';
	(void)snprintf(should, sizeof should,
	    "+OK hello\r\n%sUTF8 USER\r\nUSER\r\nSASL PLAIN EXTERNAL\r\n.\r\n-ERR TLS is spoken already\r\n"
	    "+OK\r\nPLAIN\r\nEXTERNAL\r\n.\r\n+OK bye\r\n",
	    common);
	assert_string_equal(rig.replies, should);
	(void)close(pair[1]);
	tear_down();
}

static void
nothing_said_before_tls_counts_after_it(void **state)
{
	int pair[2];

	(void)state;
	set_up("USER eve\r\nUTF8\r\nSTLS\r\nUSER a\r\nPASS b\r\n");
	welcome(SP_STARTTLS, ALL, ALL, "hello");
	assert_string_equal(
	    run(), "+OK hello\r\n+OK\r\n+OK UTF-8 it is\r\n-ERR nothing may follow STLS before TLS is spoken\r\n");
	assert_string_equal(request(SP_AUTH, false), "nothing");
	tear_down();

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	set_up("USER eve\r\nSTLS\r\n");
	welcome(SP_STARTTLS, ALL, ALL, "hello");
	policy_says(SP_TLS_PLAIN, NULL, "", &pair[0]);
	(void)close(pair[0]);
	assert_int_equal(write(pair[1], "PASS b\r\nQUIT\r\n", 14), 14);
	assert_string_equal(run(), "+OK hello\r\n+OK\r\n+OK begin TLS\r\n");
	rig.replies[recv(pair[1], rig.replies, sizeof rig.replies - 1, 0)] = '\0';
	assert_string_equal(rig.replies, "-ERR say USER first\r\n+OK bye\r\n");
	(void)close(pair[1]);
	tear_down();
}

static void
without_tls_when_it_must_be_nothing_is_said(void **state)
{
	(void)state;
	set_up("USER a\r\nQUIT\r\n");
	welcome(SP_TLS_AT_ONCE, ALL, ALL, "hello");
	answer(454, "no");
	assert_string_equal(run(), "");
	tear_down();
	set_up("QUIT\r\n");
	welcome(SP_TLS_AT_ONCE | SP_REFUSED, ALL, ALL, "go away");
	assert_string_equal(run(), "");
	tear_down();
	set_up("STLS\r\n");
	welcome(SP_STARTTLS, ALL, ALL, "hello");
	answer(454, "no");
	assert_string_equal(run(), "+OK hello\r\n-ERR [SYS/TEMP] TLS is not available now\r\n");
	tear_down();
}

static void
a_policy_that_is_gone_or_mad_lets_nobody_in(void **state)
{
	static const struct {
		uint16_t type, code;
		const char *text;
	} rows[] = {
		{ SP_ANSWER, 0, "x" },
		{ SP_ANSWER, 199, "x" },
		{ SP_ANSWER, 235, "x\r\n+OK" },
		{ SP_CHALLENGE, 0, "x\r\n" },
		{ SP_TLS_PLAIN, 0, "" },
		{ SP_CONTENT, 0, "" },
		{ SP_WELCOME, 0, "" },
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		struct sp_answer a = { .code = rows[i].code };
		struct sp_welcome w = { 0 };
		struct sp_content c = { 0 };
		const void *body = rows[i].type == SP_ANSWER ? (const void *)&a
		    : rows[i].type == SP_WELCOME             ? (const void *)&w
		    : rows[i].type == SP_CONTENT             ? (const void *)&c
							     : NULL;

		set_up("USER a\r\nPASS b\r\nSTAT\r\n");
		hello(ALL);
		policy_says(rows[i].type, body, rows[i].text, &rig.policy.fd);
		assert_string_equal(run(), HELLO "+OK\r\n" TEMP);
		assert_string_equal(request(SP_AUTH, true), "|a|b");
		assert_string_equal(request(SP_BOX, false), "nothing");
		tear_down();
	}
	set_up("USER a\r\n");
	channel_close(&rig.policy);
	assert_string_equal(run(), TEMP);
	tear_down();
	set_up("USER a\r\n");
	welcome(SP_REFUSED, 0, 0, "not you");
	assert_string_equal(run(), "-ERR not you\r\n");
	tear_down();
	set_up("");
	welcome(0, 0, 0, "two\r\nlines");
	assert_string_equal(run(), TEMP);
	tear_down();
}

static void
lines_that_can_not_be_are_refused(void **state)
{
	static const char nul[] = "USER a\r\nPASS a\0b\r\nQUIT\r\n";
	static char long_line[2000];

	(void)state;
	set_up_octets(nul, sizeof nul - 1);
	hello(ALL);
	assert_string_equal(run(), HELLO "+OK\r\n-ERR a line has no CR or NUL in it\r\n");
	assert_string_equal(request(SP_AUTH, false), "nothing");
	tear_down();
	memset(long_line, 'x', sizeof long_line);
	memcpy(long_line, "PASS ", 5);
	memcpy(long_line + 1600, "\r\nQUIT\r\n", 9);
	set_up(long_line);
	hello(ALL);
	assert_string_equal(run(), HELLO "-ERR line too long\r\n+OK bye\r\n");
	tear_down();
	set_up("GET / HTTP/1.1\r\nHost: x\r\nUSER a\r\n");
	hello(ALL);
	assert_string_equal(run(), HELLO "-ERR this is a POP3 server\r\n");
	tear_down();
}

/* Each refusal of the front end is told to policy, in the words of the reply. */
static void
what_the_front_end_refuses_is_told_for_the_log(void **state)
{
	static char long_line[1500];
	static const struct {
		const char *said, *told;
		uint16_t mechanisms;
	} rows[] = {
		{ "NONSENSE\r\n", "unknown command", ALL },
		{ "STAT\r\n", "log in first", ALL },
		{ "USER a\r\n", "not without TLS: say STLS first", 0 },
		{ "USER \r\n", "say who you are", ALL },
		{ "PASS x\r\n", "say USER first", ALL },
		{ "AUTH NTLM\r\n", "that mechanism is not offered: see CAPA", ALL },
		{ "AUTH PLAIN a b\r\n", "AUTH has a mechanism and one response", ALL },
		{ "APOP\r\n", "say who you are, and the digest", ALL },
		{ "STLS x\r\n", "STLS has no argument", ALL },
		{ "GET / HTTP/1.1\r\n", "this is a POP3 server", ALL },
		{ "USER a\rb\r\n", "a line has no CR or NUL in it", ALL },
		{ long_line, "line too long", ALL },
	};

	(void)state;
	memset(long_line, 'x', sizeof long_line - 3);
	memcpy(long_line + sizeof long_line - 3, "\r\n", 3);
	for (size_t i = 0; i < nitems(rows); i++) {
		const char *told;

		set_up(rows[i].said);
		welcome(SP_STARTTLS, rows[i].mechanisms, ALL, "hello <1.2@host>");
		(void)run();
		told = request(SP_TELL, false);
		if (strstr(told, rows[i].told) == NULL)
			fail_msg("%s told as %s", rows[i].said, told);
		assert_string_equal(request(SP_TELL, false), "nothing");
		tear_down();
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_login_hands_the_session_over_with_what_was_said_behind_it),
		cmocka_unit_test(the_hand_over_takes_no_descriptor_of_the_front_end),
		cmocka_unit_test(a_refused_login_can_be_tried_again),
		cmocka_unit_test(nothing_is_done_before_the_login),
		cmocka_unit_test(an_exchange_is_carried_line_by_line),
		cmocka_unit_test(a_response_that_can_not_be_cancels),
		cmocka_unit_test(apop_needs_a_timestamp),
		cmocka_unit_test(what_is_offered_depends_on_tls),
		cmocka_unit_test(nothing_said_before_tls_counts_after_it),
		cmocka_unit_test(without_tls_when_it_must_be_nothing_is_said),
		cmocka_unit_test(a_policy_that_is_gone_or_mad_lets_nobody_in),
		cmocka_unit_test(lines_that_can_not_be_are_refused),
		cmocka_unit_test(what_the_front_end_refuses_is_told_for_the_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
