/* What a session of smtpd refuses by itself, and tells policy for the log.
 * Trusts lib/wire, which carries it.
 * Never connects to anything: all that both sides will say is in the sockets before the session begins. */
#include "unit.h"

#include "smtpd/session.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
	int peer, content;
	struct channel policy;
	char replies[65536];
} rig;

/* What policy gives: a welcome, then as many answers as are asked for. */
struct given {
	uint32_t flags;
	unsigned n_accepted; /* recipients */
	uint64_t max_octets;
	bool content, full; /* DATA is let in; its file takes nothing */
	unsigned mechanisms;
};

static void
give(uint16_t type, const void *body, struct bytes tail, const int *fds)
{
	struct why why = WHY_NONE;

	assert_int_equal(channel_send(&rig.policy, type, 0, body, tail, fds, &why), OK);
}

static void
run(struct bytes said, bool stays, const struct given *g)
{
	struct sp_welcome w = { .max_octets = g->max_octets,
		.max_recipients = 2,
		.idle_seconds = 1,
		.max_errors = 1000,
		.max_hops = 3,
		.flags = g->flags,
		.code = 220,
		.mechanisms = (uint16_t)g->mechanisms };
	struct session *s = calloc(1, sizeof *s);
	struct sp_content content = { .max_octets = g->max_octets };
	int peer[2], policy[2];
	uint8_t room[64];
	struct buf tail = BUF_OVER(room);
	ssize_t n;

	assert_non_null(s);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, peer), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, policy), 0);
	rig.peer = peer[1];
	rig.policy = channel_of(policy[1], &smtpd_policy_protocol, SP_POLICY, false);
	rig.content = open(g->full ? "/dev/full" : "/dev/null", O_WRONLY | O_CLOEXEC);
	assert_int_equal(send(rig.peer, said.at, said.len, 0), said.len);
	if (!stays)
		assert_int_equal(shutdown(rig.peer, SHUT_WR), 0);
	wire_put_string(&tail, "mx.test");
	wire_put_string(&tail, "hello");
	give(SP_WELCOME, &w, buf_bytes(&tail), NULL);
	for (unsigned i = 0; i < g->n_accepted; i++)
		give(SP_ANSWER, &(struct sp_answer){ .code = 250 }, BYTES("ok"), NULL);
	if (g->content)
		give(SP_CONTENT, &content, BYTES_NONE, &rig.content);
	else if (g->mechanisms != 0)
		give(SP_CHALLENGE, NULL, BYTES(""), NULL);
	session_run(s, peer[0], policy[0], "conn");
	free(s);
	n = recv(rig.peer, rig.replies, sizeof rig.replies - 1, MSG_DONTWAIT);
	rig.replies[n > 0 ? n : 0] = '\0';
	(void)close(rig.peer);
	(void)close(rig.content);
}

struct heard {
	struct sp_tell tell;
	char helo[256], from[513], why[SP_TELL_TEXT_MAX + 1], said[SP_TELL_SAID_MAX + 1];
};

static void
copy(char *into, struct bytes from)
{
	memcpy(into, from.at, from.len);
	into[from.len] = '\0';
}

/* The next SP_TELL. False: there is none. */
static bool
hear(struct heard *h)
{
	struct wire_buffer buffer;
	struct wire_message m;
	struct bytes fields[4];
	struct why why = WHY_NONE;

	do
		if (channel_receive(&rig.policy, &buffer, &m, &why) != OK)
			return false;
	while (m.type != SP_TELL);
	assert_true(wire_take_all(m.tail, fields, 4));
	memcpy(&h->tell, m.body, sizeof h->tell);
	copy(h->helo, fields[0]);
	copy(h->from, fields[1]);
	copy(h->why, fields[2]);
	copy(h->said, fields[3]);
	return true;
}

#define E "EHLO me.test\r\n"
#define M E "MAIL FROM:<a@b.test>\r\n"
#define R M "RCPT TO:<c@d.test>\r\n"
#define D R "DATA\r\n"
#define LITERAL(text) ((struct bytes){ (const uint8_t *)(text), sizeof(text) - 1 })

static const struct given nothing,
    one = { .n_accepted = 1 }, two = { .n_accepted = 2 }, content = { .n_accepted = 1, .content = true },
    small = { .n_accepted = 1, .content = true, .max_octets = 10 },
    full = { .n_accepted = 1, .content = true, .full = true }, tls = { .flags = SP_STARTTLS | SP_TLS_REQUIRED },
    login = { .flags = SP_AUTH_REQUIRED, .mechanisms = 1u << SP_PLAIN };

/* One row for each kind: before, none of them left a line in the log. */
static const struct {
	struct bytes said;
	const struct given *given;
	uint16_t code;
	const char *why, *from, *line;
} kinds[] = {
	{ LITERAL(E "NONSENSE\r\n"), &nothing, 500, "unknown command", "", "" },
	{ LITERAL(E "MAIL FROM:<a@b\r\n"), &nothing, 501, "expected > after the address", "", "MAIL FROM:<a@b" },
	{ LITERAL(E "MAIL FROM:<a@b..c>\r\n"), &nothing, 501, "bad domain", "", "MAIL FROM:<a@b..c>" },
	{ LITERAL(E "MAIL FROM:<root>\r\n"), &nothing, 501, "the address needs a domain", "", "MAIL FROM:<root>" },
	{ LITERAL(E "MAIL FROM:<a@b> FOO=1\r\n"), &nothing, 555, "that parameter is not offered", "",
	    "MAIL FROM:<a@b> FOO=1" },
	{ LITERAL(E "MAIL FROM:<\xc3\xa4@b>\r\n"), &nothing, 550, "the address is not ASCII: say SMTPUTF8 with MAIL",
	    "", "MAIL FROM:<\xc3\xa4@b>" },
	{ LITERAL(E "MAIL FROM:<a@b> SIZE=11\r\n"), &small, 552, "the message is larger than this host takes", "",
	    "MAIL FROM:<a@b> SIZE=11" },
	{ LITERAL(E "RCPT TO:<a@b>\r\n"), &nothing, 503, "say MAIL first", "", "RCPT TO:<a@b>" },
	{ LITERAL(M "RCPT TO:<>\r\n"), &nothing, 501, "the null path is no recipient", "a@b.test", "RCPT TO:<>" },
	{ LITERAL(M "DATA\r\n"), &nothing, 503, "say MAIL and RCPT first", "a@b.test", "DATA" },
	{ LITERAL(R "RCPT TO:<e@d.test>\r\nRCPT TO:<f@d.test>\r\n"), &two, 452,
	    "too many recipients: send the message again to the others", "a@b.test", "RCPT TO:<f@d.test>" },
	{ LITERAL(E "BDAT x\r\n"), &nothing, 501, "BDAT expects a number, and LAST or nothing", "", "BDAT x" },
	{ LITERAL(E "BDAT 2 LAST\r\nab"), &nothing, 503, "say MAIL and RCPT first", "", "" },
	{ LITERAL(E "NOOP\rx\r\n"), &nothing, 500, "commands end with CRLF, and have no other CR, LF or NUL", "", "" },
	{ LITERAL(E "NOOP\n"), &nothing, 500, "commands end with CRLF, and have no other CR, LF or NUL", "", "" },
	{ LITERAL(E "NO\0OP\r\n"), &nothing, 500, "commands end with CRLF, and have no other CR, LF or NUL", "", "" },
	{ LITERAL(E "GET / HTTP/1.1\r\n"), &nothing, 421, "this is an SMTP server", "", "" },
	{ LITERAL(E "EXPN x\r\n"), &nothing, 502, "EXPN is not offered", "", "" },
	{ LITERAL(E "VRFY\r\n"), &nothing, 501, "VRFY expects an address", "", "VRFY" },
	{ LITERAL(E "STARTTLS\r\n"), &nothing, 502, "not offered here", "", "STARTTLS" },
	{ LITERAL(E "STARTTLS\r\nEHLO x\r\n"), &tls, 501, "nothing may follow STARTTLS before TLS is spoken", "",
	    "STARTTLS" },
	{ LITERAL(E "MAIL FROM:<a@b>\r\n"), &tls, 530, "must issue a STARTTLS command first", "", "MAIL FROM:<a@b>" },
	{ LITERAL(E "MAIL FROM:<a@b>\r\n"), &login, 530, "authentication required", "", "MAIL FROM:<a@b>" },
	{ LITERAL(E "AUTH PLAIN\r\n"), &nothing, 502, "not offered here", "", "" },
	{ LITERAL(E "AUTH NTLM c2VjcmV0\r\n"), &login, 504, "that mechanism is not offered", "", "" },
	{ LITERAL(E "AUTH PLAIN\r\nAHMA"), &login, 0, "the connection was lost in a login", "", "" },
	{ LITERAL(M), &nothing, 0, "the connection was lost within a transaction", "a@b.test", "" },
	{ LITERAL(D "Subject: x\r\n"), &content, 0, "the connection was lost while the message came in", "a@b.test",
	    "" },
	{ LITERAL(D "a\nb\r\n.\r\n"), &content, 550, "the message has a bare LF: lines end with CRLF", "a@b.test", "" },
	{ LITERAL(D "a\rb\r\n.\r\n"), &content, 550, "the message has a bare CR: lines end with CRLF", "a@b.test", "" },
	{ LITERAL(D "a\0b\r\n.\r\n"), &content, 550, "the message has a NUL octet", "a@b.test", "" },
	{ LITERAL(D "0123456789\r\n.\r\n"), &small, 552, "the message is larger than this host takes", "a@b.test", "" },
	{ LITERAL(D "x\r\n.\r\n"), &full, 452, "no room to keep the message now", "a@b.test", "" },
	{ LITERAL(D "Received: a\r\nReceived: a\r\nReceived: a\r\nReceived: a\r\n\r\n.\r\n"), &content, 554,
	    "too many hops: this message is going in circles", "a@b.test", "" },
};

static void
each_kind_of_refusal_is_told_with_its_reason(void **state)
{
	static_assert(nitems(kinds) >= 18, "as many as left no line");
	(void)state;
	for (size_t i = 0; i < nitems(kinds); i++) {
		struct heard h;

		run(kinds[i].said, false, kinds[i].given);
		if (!hear(&h))
			fail_msg("nothing is told of %s", kinds[i].why);
		assert_string_equal(h.why, kinds[i].why);
		assert_int_equal(h.tell.code, kinds[i].code);
		assert_int_equal(h.tell.n, 1);
		assert_string_equal(h.helo, "me.test");
		assert_string_equal(h.from, kinds[i].from);
		assert_string_equal(h.said, kinds[i].line);
		assert_null(strstr(h.said, "c2VjcmV0"));
		channel_close(&rig.policy);
	}
}

static void
silence_and_lines_without_end_are_told(void **state)
{
	static char line[SESSION_LINE_MAX + 20];
	struct heard h;

	(void)state;
	run(LITERAL(E), true, &nothing);
	assert_true(hear(&h));
	assert_string_equal(h.why, "nothing came for too long");
	assert_int_equal(h.tell.code, 421);
	channel_close(&rig.policy);
	memset(line, 'x', sizeof line);
	memcpy(line, "AUTH PLAIN ", 11);
	memcpy(line + sizeof line - 2, "\r\n", 2);
	run(bytes_of((uint8_t *)line, sizeof line), false, &login);
	assert_true(hear(&h));
	assert_string_equal(h.why, "line too long");
	assert_string_equal(h.said, "");
	channel_close(&rig.policy);
}

/* A session that only says who it is, and leaves, is known by that name. */
static void
the_name_of_a_session_that_asks_for_nothing_is_told(void **state)
{
	struct heard h;

	(void)state;
	run(LITERAL(E "QUIT\r\n"), false, &nothing);
	assert_true(hear(&h));
	assert_int_equal(h.tell.n, 0);
	assert_string_equal(h.helo, "me.test");
	assert_false(hear(&h));
	channel_close(&rig.policy);
	run(LITERAL(R "RSET\r\nQUIT\r\n"), false, &one); /* SP_BEGIN had it: the usual session costs no message more */
	assert_false(hear(&h));
	channel_close(&rig.policy);
	run(LITERAL("QUIT\r\n"), false, &nothing);
	assert_false(hear(&h));
	channel_close(&rig.policy);
}

static void
a_flood_of_refusals_is_counted(void **state)
{
	enum { FLOOD = 500 };
	static char said[FLOOD * 6 + 1];
	struct heard h;
	unsigned n = 0, told = 0;

	(void)state;
	for (size_t i = 0; i < FLOOD; i++)
		memcpy(said + i * 6, i % 2 == 0 ? "DATA\r\n" : "EXPN\r\n", 6);
	run(bytes_of((uint8_t *)said, sizeof said - 1), false, &nothing);
	while (hear(&h)) {
		n++;
		told += h.tell.n;
	}
	assert_int_equal(n, SP_TELL_MAX);
	assert_int_equal(told, FLOOD);
	assert_string_equal(h.why, "EXPN is not offered"); /* the last of them */
	channel_close(&rig.policy);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_of_refusal_is_told_with_its_reason),
		cmocka_unit_test(silence_and_lines_without_end_are_told),
		cmocka_unit_test(the_name_of_a_session_that_asks_for_nothing_is_told),
		cmocka_unit_test(a_flood_of_refusals_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
