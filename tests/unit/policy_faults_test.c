/* `policy` when others fail: queue that can't or is replaced, front ends that die or have been taken over.
 * Trusts nothing of it: every answer is asserted.
 * Never leaves its private directory and its own channels. */
#include "policy_rig.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void
failures_of_queue_are_temporary(void **state)
{
	struct sp_commit commit = { .octets = 5 };
	struct channel c;
	uint64_t ref;

	(void)state;
	rig_start();
	c = begin_mail(anybody, "a@b.example");
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	rig_say(&c, SP_DATA, NULL, BYTES_NONE);
	take_door();
	say_failed(queue_receives(PQ_OPEN).ref, EXHAUSTED);
	expect_answer(&c, 452, "4.3.1");
	ref = to_writing(&c); /* the same envelope again */
	rig_say(&c, SP_COMMIT, &commit, BYTES_NONE);
	(void)queue_receives(PQ_COMMIT);
	say_failed(ref, BROKEN);
	expect_answer(&c, 451, "4.3.0");
	channel_close(&c);
}

static void
a_queue_that_was_replaced_loses_what_was_on_its_way_and_no_more(void **state)
{
	struct sp_commit commit = { .octets = 5 };
	struct channel waits, writes;

	(void)state;
	rig_start();
	writes = begin_mail(anybody, "a@b.example");
	rcpt(&writes, "joe@local.example", 250, "2.1.5");
	(void)to_writing(&writes);
	waits = begin_mail(anybody, "a@b.example");
	rcpt(&waits, "joe@local.example", 250, "2.1.5");
	rig_say(&waits, SP_DATA, NULL, BYTES_NONE);
	(void)queue_receives(PQ_OPEN);
	channel_close(&queue_end);
	expect_answer(&waits, 451, "4.3.0");
	rig_say(&writes, SP_COMMIT, &commit, BYTES_NONE);
	expect_answer(&writes, 451, "4.3.0");
	rig_mail(&writes, "h.example", "a@b.example", 0);
	rcpt(&writes, "joe@local.example", 250, "2.1.5");
	(void)to_writing(&writes); /* through the door anew */
	channel_close(&writes);
	channel_close(&waits);
}

static void
a_late_answer_of_queue_reaches_nobody(void **state)
{
	struct sp_commit commit = { .octets = 5 };
	struct channel c;
	uint64_t first, second;

	(void)state;
	rig_start();
	c = begin_mail(anybody, "a@b.example");
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	first = to_writing(&c);
	rig_say(&c, SP_RESET, NULL, BYTES_NONE);
	assert_int_equal(queue_receives(PQ_ABORT).ref, first);
	rig_mail(&c, "h.example", "a@b.example", 0);
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	second = to_writing(&c);
	assert_int_not_equal(first, second);
	rig_say(&c, SP_COMMIT, &commit, BYTES_NONE);
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
	uint64_t ref;

	(void)state;
	rig_start();
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
	struct sp_commit commit = { .octets = 5 };
	struct wire_message m;
	struct why why = WHY_NONE;
	struct channel c;
	uint64_t ref;

	(void)state;
	rig_start();
	c = begin_mail(anybody, "a@b.example");
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	ref = to_writing(&c);
	rig_say(&c, SP_COMMIT, &commit, BYTES_NONE);
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
	struct sp_begin begin = { .mail = { .helo = SP_EHLO } };
	struct sp_commit commit = { .octets = 5 };
	struct sp_rcpt bad_notify = { .notify = NOTIFY_NEVER | NOTIFY_DELAY };
	const struct {
		bool after_mail;
		uint16_t type;
		const void *body;
		struct bytes tail;
	} follies[] = {
		{ false, SP_DATA, NULL, BYTES_NONE }, { false, SP_COMMIT, &commit, BYTES_NONE },
		{ false, SP_RCPT, &begin.rcpt, BYTES("\1\0a\0\0") },
		{ false, SP_BEGIN, &begin, BYTES("\1\0a") },                    /* fields missing */
		{ false, SP_BEGIN, &begin, BYTES("\1\0a\1\0\n\0\0\1\0a\0\0") }, /* a line end in an address */
		{ true, SP_BEGIN, &begin, BYTES("\1\0a\1\0b\0\0\1\0a\0\0") },   /* within a transaction */
		{ true, SP_COMMIT, &commit, BYTES_NONE },
		{ true, SP_RCPT, &bad_notify, BYTES("\1\0a\0\0") }, /* NEVER and DELAY */
		{ true, SP_RCPT, &begin.rcpt, BYTES("\377\377a") }, /* a length beyond the end */
	};

	(void)state;
	rig_start();
	for (size_t i = 0; i < nitems(follies); i++) {
		struct channel c = follies[i].after_mail ? begin_mail(anybody, "a@b.example") : rig_begin(anybody);
		struct wire_message m;
		struct why why = WHY_NONE;

		if (follies[i].after_mail)
			rcpt(&c, "joe@local.example", 250, "2.1.5");
		rig_say(&c, follies[i].type, follies[i].body, follies[i].tail);
		assert_int_equal(channel_receive(&c, &rig_buffer, &m, &why), ABSENT);
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
	rig_start();
	for (uint32_t len = 1; len < sizeof garbage; len++) {
		struct wire_message m;
		struct why why = WHY_NONE;

		c = rig_begin(anybody);
		assert_int_equal(send(c.fd, garbage, len, MSG_NOSIGNAL), len);
		assert_int_equal(channel_receive(&c, &rig_buffer, &m, &why), ABSENT);
		channel_close(&c);
		expect_ended(len - 1);
	}
	c = begin_mail(anybody, "a@b.example");
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	channel_close(&c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(failures_of_queue_are_temporary),
		TEST(a_queue_that_was_replaced_loses_what_was_on_its_way_and_no_more),
		TEST(a_late_answer_of_queue_reaches_nobody),
		TEST(a_front_end_that_dies_leaves_nothing_open),
		TEST(a_commit_outlives_its_front_end),
		TEST(a_front_end_out_of_its_mind_loses_its_own_session_only),
		TEST(garbage_on_a_channel_ends_only_that_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
