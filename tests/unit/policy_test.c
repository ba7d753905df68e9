/* The process `policy`, unconfined, between a listen, front ends and a queue that are all this test.
 * Trusts nothing of it: every answer is asserted.
 * Never leaves its private directory and its own channels. */
#include "policy_rig.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void
assert_trace(struct bytes trace, uint16_t id_at)
{
	char text[PQ_TRACE_MAX + 32];

	(void)snprintf(text, sizeof text, "%.*sID%.*s", (int)id_at, (const char *)trace.at, (int)(trace.len - id_at),
	    (const char *)trace.at + id_at);
	assert_true(
	    strncmp(text,
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
	struct sp_commit commit = { .octets = 123, .sum = 0xfedcba98 };
	uint64_t ref;

	(void)state;
	rig_start();
	c = begin_mail(anybody, "a@b.example");
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	rig_say(&c, SP_DATA, NULL, BYTES_NONE);
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
	rig_say(&c, SP_COMMIT, &commit, BYTES_NONE);
	m = queue_receives(PQ_COMMIT);
	assert_int_equal(m.ref, ref);
	assert_int_equal(((const struct pq_commit *)m.body)->octets, 123);
	assert_int_equal(((const struct pq_commit *)m.body)->sum, 0xfedcba98);
	say_committed(ref);
	expect_answer(&c, 250, "2.0.0");
	rig_mail(&c, "client.example", "", 0); /* and another */
	channel_close(&c);
	expect_ended(0);
}

static void
recipients_are_judged_one_by_one(void **state)
{
	struct channel c;

	(void)state;
	rig_start();
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
	rig_start();
	for (size_t i = 0; i < nitems(said); i++) {
		struct bytes fields[8];

		c = begin_mail(anybody, "\"a\"@b.example");
		rcpt(&c, said[i][0], 250, "2.1.5");
		rig_say(&c, SP_DATA, NULL, BYTES_NONE);
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
	struct channel c;

	(void)state;
	dir_put(&rig_dir, "rcpthosts",
	    "b\xc3\xbc"
	    "cher.example\nlocal.example\n");
	dir_put(&rig_dir, "locals",
	    "B\xc3\xbc"
	    "cher.example\nlocal.example\n");
	rig_start();
	c = begin_mail(anybody, "a@b.example");
	rcpt(&c,
	    "joe@b\xc3\xbc"
	    "cher.example",
	    553, "5.6.7");
	rcpt(&c, "joe@xn--bcher-kva.example", 250, "2.1.5");
	rig_say(&c, SP_RESET, NULL, BYTES_NONE);
	rig_mail_utf8(&c, "b@b.example");
	rcpt(&c,
	    "joe@b\xc3\xbc"
	    "cher.example",
	    250, "2.1.5");
	rcpt(&c,
	    "joe@b\xc3"
	    "cher.example",
	    553, "5.1.3");
	rcpt(&c, "j\xc3\xb6@local.example", 550, "5.1.1");
	channel_close(&c);
}

static void
refusals_of_a_sender_come_with_the_recipient(void **state)
{
	struct channel c;

	(void)state;
	rig_start();
	c = begin_mail(anybody, "Spammer@X.example");
	rcpt(&c, "joe@local.example", 553, "5.7.1");
	channel_close(&c);
	c = rig_begin(anybody);
	rig_mail(&c, "localhost", "a@b.example", 0);
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
	rig_start();
	c = begin_mail(relay, "a@b.example");
	rcpt(&c, "x@elsewhere.example", 250, "2.1.5");
	rcpt(&c, "nobody@local.example", 550, "5.1.1");
	channel_close(&c);
	c = begin_mail(gate, "a@b.example");
	rcpt(&c, "x@elsewhere.example", 250, "2.1.5");
	rig_say(&c, SP_DATA, NULL, BYTES_NONE);
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
	rig_start();
	c = connect_peer(NULL, LP_UNIX);
	expect_welcome(&c, 220, SP_LOCAL_PROGRAM);
	rig_mail(&c, "", "a@b.example", 0);
	rcpt(&c, "x@elsewhere.example", 250, "2.1.5");
	rig_say(&c, SP_DATA, NULL, BYTES_NONE);
	take_door();
	m = queue_receives(PQ_OPEN);
	assert_int_equal(((const struct pq_open *)m.body)->uid, 4711);
	channel_close(&c);
}

/* the rig's service has three sessions at a time */
static void
the_last_quarter_of_the_sessions_has_less_time(void **state)
{
	struct channel c[4];

	(void)state;
	rig_start();
	for (size_t i = 0; i < 3; i++) {
		const struct sp_welcome *w;

		c[i] = rig_begin(anybody);
		w = (const struct sp_welcome *)(const void *)(rig_buffer.octets + sizeof(struct wire_head));
		assert_int_equal(w->idle_seconds, i < 2 ? 1200 : 60);
		assert_int_equal(w->session_seconds, i < 2 ? 14400 : 1800);
	}
	channel_close(&c[0]);
	expect_ended(0);
	c[3] = connect_peer(NULL, LP_UNIX);
	expect_welcome(&c[3], 220, SP_LOCAL_PROGRAM);
	assert_int_equal(
	    ((const struct sp_welcome *)(const void *)(rig_buffer.octets + sizeof(struct wire_head)))->idle_seconds,
	    1200);
	for (size_t i = 1; i < 4; i++)
		channel_close(&c[i]);
}

static void
a_denied_peer_is_told_so(void **state)
{
	struct channel c;

	(void)state;
	rig_start();
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
	rig_start();
	c = rig_begin(small);
	rig_mail(&c, "h.example", "a@b.example", 11);
	rcpt(&c, "joe@local.example", 552, "5.3.4");
	rig_mail(&c, "h.example", "a@b.example", 10);
	rcpt(&c, "nobody@local.example", 550, "5.1.1");
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	rcpt(&c, "joe@local.example", 452, "4.5.3");
	channel_close(&c);
}

static void
what_is_too_large_in_the_end_is_not_kept(void **state)
{
	struct sp_commit commit = { .octets = 1000001 };
	struct channel c;
	uint64_t ref;

	(void)state;
	rig_start();
	c = begin_mail(anybody, "a@b.example");
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	ref = to_writing(&c);
	rig_say(&c, SP_COMMIT, &commit, BYTES_NONE);
	expect_answer(&c, 552, "5.3.4");
	assert_int_equal(queue_receives(PQ_ABORT).ref, ref);
	channel_close(&c);
}

static void
many_recipients_travel_in_several_messages(void **state)
{
	struct channel c;
	struct wire_message m;
	uint32_t n = 0;
	uint64_t ref;
	char address[300];

	(void)state;
	rig_start();
	c = begin_mail(anybody, "a@b.example");
	for (unsigned i = 0; i < 1000; i++) {
		(void)snprintf(address, sizeof address, "many-%0200u@local.example", i);
		rcpt(&c, address, 250, "2.1.5");
	}
	rcpt(&c, "joe@local.example", 452, "4.5.3");
	rig_say(&c, SP_DATA, NULL, BYTES_NONE);
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
	rig_start();
	for (int i = 0; i < 3; i++)
		c[i] = rig_begin(anybody);
	c[3] = connect_peer(anybody, LP_IPV4);
	assert_int_equal(channel_receive(&c[3], &rig_buffer, &m, &why), ABSENT);
	expect_ended(3);
	channel_close(&c[0]);
	expect_ended(0);
	channel_close(&c[3]);
	c[0] = rig_begin(anybody);
	for (int i = 0; i < 3; i++)
		channel_close(&c[i]);
}

static void
without_listen_it_ends_with_its_last_session(void **state)
{
	struct channel c;
	int status;

	(void)state;
	rig_start();
	c = begin_mail(anybody, "a@b.example");
	channel_close(&listen_end);
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	assert_int_equal(waitpid(rig_child, &status, WNOHANG), 0);
	channel_close(&c);
	assert_int_equal(waitpid(rig_child, &status, 0), rig_child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

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
		TEST(the_last_quarter_of_the_sessions_has_less_time),
		TEST(a_rule_s_limits_count),
		TEST(what_is_too_large_in_the_end_is_not_kept),
		TEST(many_recipients_travel_in_several_messages),
		TEST(more_sessions_than_allowed_are_turned_away),
		TEST(without_listen_it_ends_with_its_last_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
