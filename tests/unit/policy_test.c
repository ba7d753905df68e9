/* The process `policy`, unconfined, between a listen, front ends and a queue that are all this test.
 * Trusts nothing of it: every answer is asserted.
 * Never leaves its private directory and its own channels. */
#include "unit.h"

#include "control_dir.h"
#include "policy/policy.h"
#include "policy/privileges.h"
#include "wire/door.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct control_dir dir;
static pid_t child;
static struct channel listen_end, queue_end;
static int door;
static struct wire_buffer buffer, queue_buffer;
static uint32_t n_peers;

static const struct timeval patience = { 5, 0 };

static void
run_policy(int listen_fd, int queue_fd)
{
	static struct policy policy;
	struct control control;
	struct settings settings;
	struct why why = WHY_NONE;
	enum result r = dir_open(&dir, "policy", &control, &why);
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (r != OK) {
		(void)fprintf(stderr, "%s\n", why.text);
		_exit(1);
	}
	(void)dup2(listen_fd, 100);
	(void)dup2(queue_fd, 101);
	(void)dup2(control.fd, 102);
	if (getenv("POLICY_TEST_LOG") == NULL)
		(void)dup2(null, 2);
	(void)close_range(3, 99, 0);
	(void)dup2(100, POLICY_LISTEN_FD);
	(void)dup2(101, POLICY_QUEUE_FD);
	(void)close_range(100, 101, 0);
	settings = settings_of(&control, "smtpd");
	r = policy_run(&policy, &settings, &why);
	_exit(r == OK ? 0 : 100);
}

static void
start(void)
{
	int pair[2], doors[2];
	struct why why = WHY_NONE;

	assert_int_equal(channel_pair(pair, &why), OK);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, doors), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)close(pair[0]);
		(void)close(doors[0]);
		run_policy(pair[1], doors[1]);
	}
	(void)close(pair[1]);
	(void)close(doors[1]);
	assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
	listen_end = channel_of(pair[0], &listen_policy_protocol, LP_LISTEN, true);
	door = doors[0];
	queue_end.fd = -1;
	n_peers = 0;
}

static int
set_up(void **state)
{
	(void)state;
	dir_make(&dir);
	dir_put(&dir, "locals", "local.example\nmx.example.org\n");
	dir_put(&dir, "localiphost", "local.example\n");
	dir_put(&dir, "rcpthosts", "local.example\nbackup.example\n");
	dir_put(&dir, "users/assign", "=joe:joe:1001:1002:/home/joe:::\n+many-:joe:1001:1002:/home/joe:-::\n"
				      "=postmaster:joe:1001:1002:/home/joe:::\n.\n");
	dir_put(&dir, "rules", "192.0.2.66:deny\n192.0.2.77:allow,RELAYCLIENT=\"\"\n192.0.2.78:allow,RELAYCLIENT=\"@gate.example\"\n"
			       "192.0.2.79:allow,DATABYTES=\"10\",MAXRECIPIENTS=\"1\",REPLY_MAILBOX=\"ask us\"\n");
	dir_put(&dir, "badmailfrom", "spammer@x.example\n");
	dir_put(&dir, "badrcptto", "many-bad@local.example\n");
	dir_put(&dir, "badhelo", "localhost\n");
	dir_put(&dir, "databytes", "1000000\n");
	dir_put(&dir, "concurrencyincoming", "3\n");
	return 0;
}

static int
tear_down(void **state)
{
	int status;

	(void)state;
	channel_close(&listen_end);
	channel_close(&queue_end);
	(void)close(door);
	(void)kill(child, SIGKILL);
	(void)waitpid(child, &status, 0);
	dir_remove(&dir);
	return 0;
}

/* ---- as listen ---- */

static struct channel
connect_peer(const uint8_t address[4], uint8_t family)
{
	struct lp_peer peer = { .conn = "00000000001", .slot = n_peers++, .family = family, .uid = UINT32_MAX };
	struct why why = WHY_NONE;
	int pair[2];

	if (family == LP_UNIX)
		peer.uid = 4711;
	else {
		memcpy(peer.remote, address, 4);
		memcpy(peer.local, (const uint8_t[]){ 192, 0, 2, 1 }, 4);
	}
	assert_int_equal(channel_pair(pair, &why), OK);
	assert_int_equal(channel_send(&listen_end, LP_PEER, 0, &peer, BYTES_NONE, &pair[1], &why), OK);
	(void)close(pair[1]);
	assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
	return channel_of(pair[0], &smtpd_policy_protocol, SP_SMTPD, true);
}

static void
expect_ended(uint32_t slot)
{
	struct wire_message m;
	struct why why = WHY_NONE;

	assert_int_equal(channel_receive(&listen_end, &buffer, &m, &why), OK);
	assert_int_equal(m.type, LP_ENDED);
	assert_int_equal(((const struct lp_ended *)m.body)->slot, slot);
}

/* ---- as a front end ---- */

static void
expect_welcome(struct channel *c, unsigned code, unsigned flags)
{
	const struct sp_welcome *w;
	struct wire_message m;
	struct why why = WHY_NONE;

	assert_int_equal(channel_receive(c, &buffer, &m, &why), OK);
	assert_int_equal(m.type, SP_WELCOME);
	w = m.body;
	assert_int_equal(w->code, code);
	assert_int_equal(w->flags, flags);
}

static void
expect_answer(struct channel *c, unsigned code, const char *enhanced)
{
	const struct sp_answer *a;
	struct wire_message m;
	struct why why = WHY_NONE;
	char have[32];

	assert_int_equal(channel_receive(c, &buffer, &m, &why), OK);
	assert_int_equal(m.type, SP_ANSWER);
	a = m.body;
	(void)snprintf(have, sizeof have, "%u %u.%u.%u", a->code, a->enhanced[0], a->enhanced[1], a->enhanced[2]);
	{
		char want[32];

		(void)snprintf(want, sizeof want, "%u %s", code, enhanced);
		assert_string_equal(have, want);
	}
}

static void
say(struct channel *c, uint16_t type, const void *body, struct bytes tail)
{
	struct why why = WHY_NONE;

	assert_int_equal(channel_send(c, type, 0, body, tail, NULL, &why), OK);
}

static void
say_mail(struct channel *c, const char *helo, const char *from, uint64_t octets)
{
	struct sp_mail mail = { .octets = octets, .helo = SP_EHLO };
	uint8_t room[1024];
	struct buf tail = BUF_OVER(room);

	wire_put_string(&tail, helo);
	wire_put_string(&tail, from);
	wire_put_string(&tail, "");
	say(c, SP_MAIL, &mail, buf_bytes(&tail));
}

static void
say_rcpt(struct channel *c, const char *to)
{
	struct sp_rcpt rcpt = { 0 };
	uint8_t room[1200];
	struct buf tail = BUF_OVER(room);

	wire_put_string(&tail, to);
	wire_put_string(&tail, "");
	say(c, SP_RCPT, &rcpt, buf_bytes(&tail));
}

static void
rcpt(struct channel *c, const char *to, unsigned code, const char *enhanced)
{
	say_rcpt(c, to);
	expect_answer(c, code, enhanced);
}

static struct channel
begin(const uint8_t address[4])
{
	struct channel c = connect_peer(address, LP_IPV4);

	expect_welcome(&c, 220, 0);
	return c;
}

static const uint8_t anybody[4] = { 192, 0, 2, 5 }, denied[4] = { 192, 0, 2, 66 }, relay[4] = { 192, 0, 2, 77 },
	gate[4] = { 192, 0, 2, 78 }, small[4] = { 192, 0, 2, 79 };

static struct channel
begin_mail(const uint8_t address[4], const char *from)
{
	struct channel c = begin(address);

	say_mail(&c, "client.example", from, 0);
	expect_answer(&c, 250, "2.1.0");
	return c;
}

/* ---- as queue ---- */

static void
take_door(void)
{
	struct channel handed;
	struct why why = WHY_NONE;

	assert_int_equal(setsockopt(door, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
	for (int i = 0; i < 500; i++) {
		enum result r = door_take(door, &policy_queue_protocol, &handed, &why);

		if (r == OK) {
			assert_int_equal(setsockopt(handed.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
			queue_end = handed;
			queue_end.waits = true;
			return;
		}
		assert_int_equal(r, AGAIN);
		(void)usleep(10000);
	}
	fail_msg("nobody came to the door");
}

static struct wire_message
queue_receives(uint16_t type)
{
	struct wire_message m;
	struct why why = WHY_NONE;

	assert_int_equal(channel_receive(&queue_end, &queue_buffer, &m, &why), OK);
	assert_int_equal(m.type, type);
	return m;
}

static uint32_t
give_writer(uint32_t ref)
{
	struct pq_writer w = { .id = "0000000000a" };
	struct why why = WHY_NONE;
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	assert_int_equal(channel_send(&queue_end, PQ_WRITER, ref, &w, BYTES_NONE, &fd, &why), OK);
	(void)close(fd);
	return ref;
}

static void
say_committed(uint32_t ref)
{
	struct pq_committed c = { .id = "0000000000a" };
	struct why why = WHY_NONE;

	assert_int_equal(channel_send(&queue_end, PQ_COMMITTED, ref, &c, BYTES_NONE, NULL, &why), OK);
}

static void
say_failed(uint32_t ref, enum result r)
{
	struct pq_failed f = { (uint32_t)r };
	struct why why = WHY_NONE;

	assert_int_equal(channel_send(&queue_end, PQ_FAILED, ref, &f, BYTES("as the test wants"), NULL, &why), OK);
}

static void
expect_content(struct channel *c, uint64_t max)
{
	struct wire_message m;
	struct why why = WHY_NONE;

	assert_int_equal(channel_receive(c, &buffer, &m, &why), OK);
	assert_int_equal(m.type, SP_CONTENT);
	assert_int_equal(((const struct sp_content *)m.body)->max_octets, max);
	wire_close_fds(&m);
}

static uint32_t
to_writing(struct channel *c)
{
	uint32_t ref;

	say(c, SP_DATA, NULL, BYTES_NONE);
	if (queue_end.fd < 0)
		take_door();
	ref = give_writer(queue_receives(PQ_OPEN).ref);
	expect_content(c, 1000000);
	return ref;
}

/* ---- the tests ---- */

static void
assert_trace(struct bytes trace, uint16_t id_at)
{
	char text[PQ_TRACE_MAX + 32];

	(void)snprintf(text, sizeof text, "%.*sID%.*s", (int)id_at, (const char *)trace.at, (int)(trace.len - id_at),
	    (const char *)trace.at + id_at);
	assert_true(strncmp(text,
			"Received: from client.example (unknown [192.0.2.5])\r\n\tby mx.example.org with ESMTP id ID\r\n"
			"\tfor <joe@local.example>;\r\n\t",
			strlen("Received: from client.example (unknown [192.0.2.5])\r\n\tby mx.example.org with ESMTP id ID\r\n"
			       "\tfor <joe@local.example>;\r\n\t")) == 0);
	assert_string_equal(text + strlen(text) - 8, " +0000\r\n");
}

static void
a_message_goes_from_mail_to_commit(void **state)
{
	struct channel c;
	struct wire_message m;
	const struct pq_open *open;
	struct bytes fields[8];
	struct sp_commit commit = { 123 };
	uint32_t ref;

	(void)state;
	start();
	c = begin_mail(anybody, "a@b.example");
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	say(&c, SP_DATA, NULL, BYTES_NONE);
	take_door();
	m = queue_receives(PQ_OPEN);
	ref = m.ref;
	open = m.body;
	assert_int_equal(open->flags, PQ_COMPLETE);
	assert_int_equal(open->n_recipients, 1);
	assert_int_equal(open->n_here, 1);
	assert_int_equal(open->uid, UINT32_MAX);
	assert_true(wire_take_all(m.tail, fields, 8));
	assert_true(bytes_equal(fields[0], BYTES("a@b.example")));
	assert_trace(fields[2], open->id_at);
	assert_true(bytes_equal(fields[3], BYTES("smtpd")));
	assert_true(bytes_equal(fields[4], BYTES("00000000001")));
	assert_true(bytes_equal(fields[5], BYTES("joe@local.example")));
	assert_int_equal(fields[7].len, 1);
	give_writer(ref);
	expect_content(&c, 1000000);
	say(&c, SP_COMMIT, &commit, BYTES_NONE);
	m = queue_receives(PQ_COMMIT);
	assert_int_equal(m.ref, ref);
	assert_int_equal(((const struct pq_commit *)m.body)->octets, 123);
	say_committed(ref);
	expect_answer(&c, 250, "2.0.0");
	say_mail(&c, "client.example", "", 0); /* and another */
	expect_answer(&c, 250, "2.1.0");
	channel_close(&c);
	expect_ended(0);
}

static void
recipients_are_judged_one_by_one(void **state)
{
	struct channel c;

	(void)state;
	start();
	c = begin_mail(anybody, "a@b.example");
	rcpt(&c, "nobody@local.example", 550, "5.1.1");
	rcpt(&c, "x@elsewhere.example", 553, "5.7.1");
	rcpt(&c, "x@backup.example", 250, "2.1.5");
	rcpt(&c, "joe@[192.0.2.1]", 250, "2.1.5");
	rcpt(&c, "joe@[192.0.2.2]", 553, "5.7.1");
	rcpt(&c, "joe@mx.example.org", 553, "5.7.1"); /* not in rcpthosts here */
	rcpt(&c, "many-bad@local.example", 553, "5.7.1");
	rcpt(&c, "Postmaster", 250, "2.1.5"); /* whatever rcpthosts says */
	rcpt(&c, "postmaster@local.example", 250, "2.1.5");
	rcpt(&c, "", 553, "5.1.3");
	channel_close(&c);
}

static void
an_address_has_one_form_in_the_house(void **state)
{
	static const char *const said[][2] = {
		{ "\"joe\"@local.example", "joe@local.example" },
		{ "@a.example,@b.example:joe@local.example", "joe@local.example" },
		{ "\"many-a b\"@local.example", "\"many-a b\"@local.example" },
		{ "joe@[192.0.2.1]", "joe@local.example" },
	};
	struct wire_message m;
	struct channel c;

	(void)state;
	start();
	for (size_t i = 0; i < nitems(said); i++) {
		struct bytes fields[8];

		c = begin_mail(anybody, "\"a\"@b.example");
		rcpt(&c, said[i][0], 250, "2.1.5");
		say(&c, SP_DATA, NULL, BYTES_NONE);
		if (i == 0)
			take_door();
		m = queue_receives(PQ_OPEN);
		assert_true(wire_take_all(m.tail, fields, 8));
		assert_true(bytes_equal(fields[0], BYTES("a@b.example")));
		assert_true(bytes_equal(fields[5], bytes_of_string(said[i][1])));
		channel_close(&c);
		(void)queue_receives(PQ_ABORT);
	}
}

static void
addresses_in_utf8_need_smtputf8(void **state)
{
	struct sp_mail mail = { .helo = SP_EHLO, .smtputf8 = 1 };
	struct channel c;

	(void)state;
	dir_put(&dir, "rcpthosts", "b\xc3\xbc" "cher.example\nlocal.example\n");
	dir_put(&dir, "locals", "B\xc3\xbc" "cher.example\nlocal.example\n");
	start();
	c = begin_mail(anybody, "a@b.example");
	rcpt(&c, "joe@b\xc3\xbc" "cher.example", 553, "5.6.7");
	rcpt(&c, "joe@xn--bcher-kva.example", 250, "2.1.5");
	say(&c, SP_RESET, NULL, BYTES_NONE);
	say(&c, SP_MAIL, &mail, BYTES("\1\0a\1\0b\0\0"));
	expect_answer(&c, 250, "2.1.0");
	rcpt(&c, "joe@b\xc3\xbc" "cher.example", 250, "2.1.5");
	rcpt(&c, "joe@b\xc3" "cher.example", 553, "5.1.3");
	rcpt(&c, "j\xc3\xb6@local.example", 550, "5.1.1");
	channel_close(&c);
}

static void
refusals_of_a_sender_come_with_the_recipient(void **state)
{
	struct channel c;

	(void)state;
	start();
	c = begin_mail(anybody, "Spammer@X.example");
	rcpt(&c, "joe@local.example", 553, "5.7.1");
	channel_close(&c);
	c = begin(anybody);
	say_mail(&c, "localhost", "a@b.example", 0);
	expect_answer(&c, 250, "2.1.0");
	rcpt(&c, "joe@local.example", 550, "5.7.1");
	channel_close(&c);
}

static void
only_a_rule_makes_a_relay(void **state)
{
	struct channel c;
	struct wire_message m;
	struct bytes fields[8];

	(void)state;
	start();
	c = begin_mail(relay, "a@b.example");
	rcpt(&c, "x@elsewhere.example", 250, "2.1.5");
	rcpt(&c, "nobody@local.example", 550, "5.1.1");
	channel_close(&c);
	c = begin_mail(gate, "a@b.example");
	rcpt(&c, "x@elsewhere.example", 250, "2.1.5");
	say(&c, SP_DATA, NULL, BYTES_NONE);
	take_door();
	m = queue_receives(PQ_OPEN);
	assert_true(wire_take_all(m.tail, fields, 8));
	assert_true(bytes_equal(fields[5], BYTES("x@elsewhere.example@gate.example")));
	channel_close(&c);
}

static void
a_local_program_may_send_anywhere(void **state)
{
	struct channel c;
	struct wire_message m;

	(void)state;
	start();
	c = connect_peer(NULL, LP_UNIX);
	expect_welcome(&c, 220, SP_LOCAL_PROGRAM);
	say_mail(&c, "", "a@b.example", 0);
	expect_answer(&c, 250, "2.1.0");
	rcpt(&c, "x@elsewhere.example", 250, "2.1.5");
	say(&c, SP_DATA, NULL, BYTES_NONE);
	take_door();
	m = queue_receives(PQ_OPEN);
	assert_int_equal(((const struct pq_open *)m.body)->uid, 4711);
	channel_close(&c);
}

static void
a_denied_peer_is_told_so(void **state)
{
	struct channel c;

	(void)state;
	start();
	c = connect_peer(denied, LP_IPV4);
	expect_welcome(&c, 554, SP_REFUSED);
	channel_close(&c);
	expect_ended(0);
}

static void
a_rule_s_limits_count(void **state)
{
	struct channel c;

	(void)state;
	start();
	c = begin(small);
	say_mail(&c, "h.example", "a@b.example", 11);
	expect_answer(&c, 552, "5.3.4");
	say_mail(&c, "h.example", "a@b.example", 10);
	expect_answer(&c, 250, "2.1.0");
	rcpt(&c, "nobody@local.example", 550, "5.1.1");
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	rcpt(&c, "joe@local.example", 452, "4.5.3");
	channel_close(&c);
}

static void
what_is_too_large_in_the_end_is_not_kept(void **state)
{
	struct sp_commit commit = { 1000001 };
	struct channel c;
	uint32_t ref;

	(void)state;
	start();
	c = begin_mail(anybody, "a@b.example");
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	ref = to_writing(&c);
	say(&c, SP_COMMIT, &commit, BYTES_NONE);
	expect_answer(&c, 552, "5.3.4");
	assert_int_equal(queue_receives(PQ_ABORT).ref, ref);
	channel_close(&c);
}

static void
failures_of_queue_are_temporary(void **state)
{
	struct sp_commit commit = { 5 };
	struct channel c;
	uint32_t ref;

	(void)state;
	start();
	c = begin_mail(anybody, "a@b.example");
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	say(&c, SP_DATA, NULL, BYTES_NONE);
	take_door();
	say_failed(queue_receives(PQ_OPEN).ref, EXHAUSTED);
	expect_answer(&c, 452, "4.3.1");
	ref = to_writing(&c); /* the same envelope again */
	say(&c, SP_COMMIT, &commit, BYTES_NONE);
	(void)queue_receives(PQ_COMMIT);
	say_failed(ref, BROKEN);
	expect_answer(&c, 451, "4.3.0");
	channel_close(&c);
}

static void
a_queue_that_was_replaced_loses_what_was_on_its_way_and_no_more(void **state)
{
	struct sp_commit commit = { 5 };
	struct channel waits, writes;

	(void)state;
	start();
	writes = begin_mail(anybody, "a@b.example");
	rcpt(&writes, "joe@local.example", 250, "2.1.5");
	(void)to_writing(&writes);
	waits = begin_mail(anybody, "a@b.example");
	rcpt(&waits, "joe@local.example", 250, "2.1.5");
	say(&waits, SP_DATA, NULL, BYTES_NONE);
	(void)queue_receives(PQ_OPEN);
	channel_close(&queue_end);
	expect_answer(&waits, 451, "4.3.0");
	say(&writes, SP_COMMIT, &commit, BYTES_NONE);
	expect_answer(&writes, 451, "4.3.0");
	say_mail(&writes, "h.example", "a@b.example", 0);
	expect_answer(&writes, 250, "2.1.0");
	rcpt(&writes, "joe@local.example", 250, "2.1.5");
	(void)to_writing(&writes); /* through the door anew */
	channel_close(&writes);
	channel_close(&waits);
}

static void
a_late_answer_of_queue_reaches_nobody(void **state)
{
	struct sp_commit commit = { 5 };
	struct channel c;
	uint32_t first, second;

	(void)state;
	start();
	c = begin_mail(anybody, "a@b.example");
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	first = to_writing(&c);
	say(&c, SP_RESET, NULL, BYTES_NONE);
	assert_int_equal(queue_receives(PQ_ABORT).ref, first);
	say_mail(&c, "h.example", "a@b.example", 0);
	expect_answer(&c, 250, "2.1.0");
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	second = to_writing(&c);
	assert_int_not_equal(first, second);
	say(&c, SP_COMMIT, &commit, BYTES_NONE);
	(void)queue_receives(PQ_COMMIT);
	say_committed(first); /* must not count as the answer */
	say_failed(second, EXHAUSTED);
	expect_answer(&c, 452, "4.3.1");
	channel_close(&c);
}

static void
a_front_end_that_dies_leaves_nothing_open(void **state)
{
	struct channel c;
	uint32_t ref;

	(void)state;
	start();
	c = begin_mail(anybody, "a@b.example");
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	ref = to_writing(&c);
	channel_close(&c);
	assert_int_equal(queue_receives(PQ_ABORT).ref, ref);
	expect_ended(0);
}

static void
a_commit_outlives_its_front_end(void **state)
{
	struct sp_commit commit = { 5 };
	struct wire_message m;
	struct why why = WHY_NONE;
	struct channel c;
	uint32_t ref;

	(void)state;
	start();
	c = begin_mail(anybody, "a@b.example");
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	ref = to_writing(&c);
	say(&c, SP_COMMIT, &commit, BYTES_NONE);
	channel_close(&c);
	(void)queue_receives(PQ_COMMIT);
	say_committed(ref);
	expect_ended(0);
	queue_end.waits = false;
	assert_int_equal(channel_receive(&queue_end, &queue_buffer, &m, &why), AGAIN); /* no abort */
}

/* Each out of turn or senseless: that session ends, the next is served. */
static void
a_front_end_out_of_its_mind_loses_its_own_session_only(void **state)
{
	struct sp_mail mail = { .helo = SP_EHLO };
	struct sp_commit commit = { 5 };
	struct sp_rcpt bad_notify = { .notify = SP_NOTIFY_NEVER | SP_NOTIFY_DELAY };
	const struct {
		bool after_mail;
		uint16_t type;
		const void *body;
		struct bytes tail;
	} follies[] = {
		{ false, SP_DATA, NULL, BYTES_NONE },
		{ false, SP_COMMIT, &commit, BYTES_NONE },
		{ false, SP_RCPT, &bad_notify, BYTES("\1\0a\0\0") },
		{ false, SP_MAIL, &mail, BYTES("\1\0a") },                /* fields missing */
		{ false, SP_MAIL, &mail, BYTES("\1\0a\1\0\n\0\0") },      /* a line end in an address */
		{ true, SP_DATA, NULL, BYTES_NONE },                      /* nobody to send to */
		{ true, SP_COMMIT, &commit, BYTES_NONE },
		{ true, SP_MAIL, &mail, BYTES("\1\0a\1\0b\0\0") },        /* within a transaction */
		{ true, SP_RCPT, &bad_notify, BYTES("\1\0a\0\0") },       /* NEVER and DELAY */
		{ true, SP_RCPT, &bad_notify, BYTES("\377\377a") },       /* a length beyond the end */
	};

	(void)state;
	start();
	for (size_t i = 0; i < nitems(follies); i++) {
		struct channel c = follies[i].after_mail ? begin_mail(anybody, "a@b.example") : begin(anybody);
		struct wire_message m;
		struct why why = WHY_NONE;

		say(&c, follies[i].type, follies[i].body, follies[i].tail);
		assert_int_equal(channel_receive(&c, &buffer, &m, &why), ABSENT);
		channel_close(&c);
		expect_ended((uint32_t)i);
	}
}

static void
garbage_on_a_channel_ends_only_that_session(void **state)
{
	static const char garbage[] = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
	struct channel c;

	(void)state;
	start();
	for (uint32_t len = 1; len < sizeof garbage; len++) {
		struct wire_message m;
		struct why why = WHY_NONE;

		c = begin(anybody);
		assert_int_equal(send(c.fd, garbage, len, MSG_NOSIGNAL), len);
		assert_int_equal(channel_receive(&c, &buffer, &m, &why), ABSENT);
		channel_close(&c);
		expect_ended(len - 1);
	}
	c = begin_mail(anybody, "a@b.example");
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	channel_close(&c);
}

static void
many_recipients_travel_in_several_messages(void **state)
{
	struct channel c;
	struct wire_message m;
	uint32_t n = 0, ref;
	char address[300];

	(void)state;
	start();
	c = begin_mail(anybody, "a@b.example");
	for (unsigned i = 0; i < 1000; i++) {
		(void)snprintf(address, sizeof address, "many-%0200u@local.example", i);
		rcpt(&c, address, 250, "2.1.5");
	}
	rcpt(&c, "joe@local.example", 452, "4.5.3");
	say(&c, SP_DATA, NULL, BYTES_NONE);
	take_door();
	m = queue_receives(PQ_OPEN);
	ref = m.ref;
	assert_int_equal(((const struct pq_open *)m.body)->n_recipients, 1000);
	assert_int_equal(((const struct pq_open *)m.body)->flags, 0);
	n = ((const struct pq_open *)m.body)->n_here;
	for (bool complete = false; !complete;) {
		const struct pq_more *more;

		m = queue_receives(PQ_MORE);
		assert_int_equal(m.ref, ref);
		more = m.body;
		n += more->n_here;
		complete = more->flags == PQ_COMPLETE;
	}
	assert_int_equal(n, 1000);
	channel_close(&c);
}

static void
more_sessions_than_allowed_are_turned_away(void **state)
{
	struct channel c[4];
	struct wire_message m;
	struct why why = WHY_NONE;

	(void)state;
	start();
	for (int i = 0; i < 3; i++)
		c[i] = begin(anybody);
	c[3] = connect_peer(anybody, LP_IPV4);
	assert_int_equal(channel_receive(&c[3], &buffer, &m, &why), ABSENT);
	expect_ended(3);
	channel_close(&c[0]);
	expect_ended(0);
	channel_close(&c[3]);
	c[0] = begin(anybody);
	for (int i = 0; i < 3; i++)
		channel_close(&c[i]);
}

static void
without_listen_it_ends_with_its_last_session(void **state)
{
	struct channel c;
	int status;

	(void)state;
	start();
	c = begin_mail(anybody, "a@b.example");
	channel_close(&listen_end);
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	assert_int_equal(waitpid(child, &status, WNOHANG), 0);
	channel_close(&c);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_message_goes_from_mail_to_commit),
		TEST(recipients_are_judged_one_by_one),
		TEST(an_address_has_one_form_in_the_house),
		TEST(addresses_in_utf8_need_smtputf8),
		TEST(refusals_of_a_sender_come_with_the_recipient),
		TEST(only_a_rule_makes_a_relay),
		TEST(a_local_program_may_send_anywhere),
		TEST(a_denied_peer_is_told_so),
		TEST(a_rule_s_limits_count),
		TEST(what_is_too_large_in_the_end_is_not_kept),
		TEST(failures_of_queue_are_temporary),
		TEST(a_queue_that_was_replaced_loses_what_was_on_its_way_and_no_more),
		TEST(a_late_answer_of_queue_reaches_nobody),
		TEST(a_front_end_that_dies_leaves_nothing_open),
		TEST(a_commit_outlives_its_front_end),
		TEST(a_front_end_out_of_its_mind_loses_its_own_session_only),
		TEST(garbage_on_a_channel_ends_only_that_session),
		TEST(many_recipients_travel_in_several_messages),
		TEST(more_sessions_than_allowed_are_turned_away),
		TEST(without_listen_it_ends_with_its_last_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
