/* A session of smtpd between a peer and a policy that says what it likes: right, wrong or nothing.
 * Trusts lib/wire, which carries what is said.
 * Never connects to anything: all that both will say is in the sockets before the session begins. */
#include "unit.h"

#include "base/crc32c.h"

#include "smtpd/session.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define UP_TO_DATA "EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"
#define MESSAGE UP_TO_DATA "Subject: x\r\n\r\n..y\r\n.\r\n"

static struct {
	int peer, session_peer, session_policy;
	struct channel policy;
	int content; /* what queue would have */
	uint8_t replies[65536];
} rig;

static void
set_up(const char *peer_says)
{
	int peer[2], policy[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, peer), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, policy), 0);
	rig.peer = peer[1];
	rig.session_peer = peer[0];
	rig.session_policy = policy[0];
	rig.policy = channel_of(policy[1], &smtpd_policy_protocol, SP_POLICY, false);
	rig.content = memfd_create("content", 0);
	assert_true(rig.content >= 0);
	assert_int_equal(send(rig.peer, peer_says, strlen(peer_says), 0), strlen(peer_says));
	assert_int_equal(shutdown(rig.peer, SHUT_WR), 0);
}

static void
policy_says(uint16_t type, const void *body, const char *tail, const int *fds)
{
	struct why why = WHY_NONE;

	assert_int_equal(channel_send(&rig.policy, type, 0, body, bytes_of_string(tail), fds, &why), OK);
}

static void
welcome(uint16_t code, uint32_t flags, const char *host, const char *text)
{
	struct sp_welcome w = {
		.max_recipients = 10, .idle_seconds = 2, .max_errors = 20, .max_hops = 30, .flags = flags, .code = code
	};
	uint8_t room[1024];
	struct buf tail = BUF_OVER(room);
	struct why why = WHY_NONE;

	wire_put_string(&tail, host);
	wire_put_string(&tail, text);
	assert_int_equal(channel_send(&rig.policy, SP_WELCOME, 0, &w, buf_bytes(&tail), NULL, &why), OK);
}

static void
answer(uint16_t code, const char *text)
{
	policy_says(SP_ANSWER, &(struct sp_answer){ .code = code, .enhanced = { 2, 1, 5 } }, text, NULL);
}

static void
content(uint64_t max, int fd)
{
	policy_says(SP_CONTENT, &(struct sp_content){ .max_octets = max }, "", &fd);
}

/* runs it; what the peer got, also in rig.replies */
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
	return (const char *)rig.replies;
}

static void
tear_down(void)
{
	(void)close(rig.peer);
	(void)close(rig.content);
	channel_close(&rig.policy);
}

static unsigned
open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n;
}

/* the request that the session sent next */
static uint16_t
request(struct wire_buffer *buffer, struct wire_message *m)
{
	struct why why = WHY_NONE;

	return channel_receive(&rig.policy, buffer, m, &why) == OK ? m->type : UINT16_MAX;
}

static void
a_message_goes_to_policy_in_three_requests(void **state)
{
	struct wire_buffer buffer;
	struct wire_message m;
	struct bytes fields[5];
	char text[64];
	uint32_t sum;

	(void)state;
	set_up(MESSAGE "QUIT\r\n");
	welcome(220, 0, "mx.test", "mx.test ESMTP");
	answer(250, "recipient ok");
	content(0, rig.content);
	answer(250, "ok, id x");
	assert_non_null(strstr(run(), "354 "));
	assert_non_null(strstr((const char *)rig.replies, "250 2.1.5 ok, id x\r\n221 2.0.0 mx.test bye\r\n"));
	assert_int_equal(request(&buffer, &m), SP_BEGIN);
	assert_true(wire_take_all(m.tail, fields, 5));
	assert_true(bytes_equal(fields[0], BYTES("a")) && bytes_equal(fields[1], BYTES("a@b")) &&
	    bytes_equal(fields[3], BYTES("c@d")));
	assert_int_equal(request(&buffer, &m), SP_DATA);
	assert_int_equal(request(&buffer, &m), SP_COMMIT);
	assert_int_equal(((const struct sp_commit *)m.body)->octets, 18);
	sum = ((const struct sp_commit *)m.body)->sum;
	assert_int_equal(pread(rig.content, text, sizeof text, 0), 18);
	assert_memory_equal(text, "Subject: x\r\n\r\n.y\r\n", 18);
	assert_int_equal(sum, crc32c_add(0, bytes_of(text, 18)));
	assert_int_equal(request(&buffer, &m), UINT16_MAX);
	tear_down();
}

static void
a_welcome_that_cannot_be_said_is_421(void **state)
{
	static const struct {
		uint16_t code;
		const char *host, *text;
	} bad[] = { { 220, "mx.test", "two\r\nlines" }, { 220, "mx\n", "x" }, { 220, "mx.test", "\x1b[2J" },
		{ 999, "mx.test", "x" }, { 0, "mx.test", "x" }, { 22, "mx.test", "x" },
		{ 220, "mx.test", "\xc3\xa4" } };
	char host[300];

	(void)state;
	for (size_t i = 0; i < nitems(bad); i++) {
		set_up("EHLO a\r\n");
		welcome(bad[i].code, 0, bad[i].host, bad[i].text);
		assert_string_equal(run(), "421 4.3.2 this host can't serve you now\r\n");
		tear_down();
	}
	memset(host, 'a', sizeof host);
	for (size_t len = 255; len <= 256; len++) {
		host[len] = '\0';
		set_up("QUIT\r\n");
		welcome(220, 0, host, "x");
		assert_int_equal(strncmp(run(), "220 x", 5) == 0, len == 255);
		tear_down();
		host[len] = 'a';
	}
	set_up("EHLO a\r\n");
	answer(250, "not what comes first");
	assert_string_equal(run(), "421 4.3.2 this host can't serve you now\r\n");
	tear_down();
}

static void
a_refusal_is_said_and_nothing_else(void **state)
{
	(void)state;
	set_up("EHLO a\r\nQUIT\r\n");
	welcome(554, SP_REFUSED, "mx.test", "5.7.1 not you");
	assert_string_equal(run(), "554 5.7.1 not you\r\n");
	tear_down();
	set_up("EHLO a\r\n");
	welcome(220, SP_TLS_AT_ONCE, "mx.test", "hello");
	answer(454, "no");
	assert_string_equal(run(), ""); /* nothing in the clear where TLS comes first */
	tear_down();
}

static void
an_answer_that_cannot_be_said_ends_the_session(void **state)
{
	static const struct {
		uint16_t code;
		const char *text;
	} bad[] = { { 250, "ok\r\n250 really" }, { 250, "a\nb" }, { 250, "\x07" }, { 250, "\x7f" }, { 250, "\xff" },
		{ 0, "x" }, { 199, "x" }, { 600, "x" }, { 2500, "x" }, { UINT16_MAX, "x" } };

	(void)state;
	for (size_t i = 0; i < nitems(bad); i++) {
		const char *said;

		set_up(MESSAGE);
		welcome(220, 0, "mx.test", "x");
		answer(bad[i].code, bad[i].text);
		said = run();
		assert_non_null(strstr(said, "250 2.1.0 ok\r\n421 4.3.2 "));
		assert_null(strstr(said, "354"));
		assert_null(strstr(said, "really"));
		tear_down();
	}
}

static void
a_descriptor_that_nobody_asked_for_is_closed(void **state)
{
	unsigned before = open_descriptors();

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		set_up(MESSAGE);
		welcome(220, 0, "mx.test", "x");
		if (i == 0)
			content(0, rig.content); /* to RCPT */
		else
			answer(250, "ok");
		if (i == 1)
			policy_says(SP_TLS_PLAIN, NULL, "", &rig.content); /* to DATA */
		if (i == 2) {
			content(0, rig.content);
			content(0, rig.content); /* to COMMIT */
		}
		assert_non_null(strstr(run(), "421 4.3.2 "));
		tear_down();
		assert_int_equal(open_descriptors(), before);
	}
}

static void
policy_may_vanish_at_any_request(void **state)
{
	unsigned before = open_descriptors();

	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		set_up(MESSAGE);
		if (n > 0)
			welcome(220, 0, "mx.test", "x");
		if (n > 1)
			answer(250, "ok");
		if (n > 2)
			content(0, rig.content);
		assert_int_equal(shutdown(rig.policy.fd, SHUT_RDWR), 0);
		assert_non_null(strstr(run(), "421 4."));
		assert_null(strstr((const char *)rig.replies, "ok, id"));
		tear_down();
		assert_int_equal(open_descriptors(), before);
	}
}

static void
what_cannot_be_written_is_452(void **state)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct wire_buffer buffer;
	struct wire_message m;

	(void)state;
	assert_true(fd >= 0);
	set_up(MESSAGE "NOOP\r\n");
	welcome(220, 0, "mx.test", "x");
	answer(250, "ok");
	content(0, fd);
	assert_non_null(strstr(run(), "452 4.3.1 no room to keep the message now\r\n250 2.0.0 fine\r\n"));
	assert_int_equal(request(&buffer, &m), SP_BEGIN);
	assert_int_equal(request(&buffer, &m), SP_DATA);
	assert_int_equal(request(&buffer, &m), SP_TELL);
	assert_int_equal(request(&buffer, &m), SP_RESET); /* and no commit */
	tear_down();
	(void)close(fd);
}

static void
the_message_limit_counts_each_octet(void **state)
{
	(void)state;
	for (uint64_t max = 17; max <= 18; max++) {
		set_up(MESSAGE);
		welcome(220, 0, "mx.test", "x");
		answer(250, "ok");
		content(max, rig.content);
		answer(250, "ok, id x");
		assert_int_equal(strstr(run(), "552 5.3.4 ") != NULL, max == 17);
		assert_int_equal(strstr((const char *)rig.replies, "ok, id x") != NULL, max == 18);
		tear_down();
	}
}

static void
an_answer_may_end_the_session(void **state)
{
	(void)state;
	set_up(MESSAGE "NOOP\r\n");
	welcome(220, 0, "mx.test", "x");
	policy_says(SP_ANSWER, &(struct sp_answer){ .code = 421, .enhanced = { 4, 7, 0 }, .close = 1 }, "enough", NULL);
	assert_non_null(strstr(run(), "421 4.7.0 enough\r\n"));
	assert_null(strstr((const char *)rig.replies, "503"));
	assert_null(strstr((const char *)rig.replies, "2.0.0 fine"));
	tear_down();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_goes_to_policy_in_three_requests),
		cmocka_unit_test(a_welcome_that_cannot_be_said_is_421),
		cmocka_unit_test(a_refusal_is_said_and_nothing_else),
		cmocka_unit_test(an_answer_that_cannot_be_said_ends_the_session),
		cmocka_unit_test(a_descriptor_that_nobody_asked_for_is_closed),
		cmocka_unit_test(policy_may_vanish_at_any_request),
		cmocka_unit_test(what_cannot_be_written_is_452),
		cmocka_unit_test(the_message_limit_counts_each_octet),
		cmocka_unit_test(an_answer_may_end_the_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
