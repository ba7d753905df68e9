/* Tests of `send` between a queue, an lspawn and locals that are the test.
 * Trusts nothing of it: every message is asserted.
 * Never waits longer than some seconds. */
#include "send_rig.h"

#include "sys/clock.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define DAY 86400

static const struct srig_recipient two[] = { { "joe@local.example", 0 }, { "ann@local.example", 0 } };
static const struct srig_recipient one_of_them_missing[] = { { "joe@local.example", 0 }, { "none@local.example", 0 } };

static void
a_lone_recipient_is_delivered_and_done(void **state)
{
	struct srig_message m = srig_simple("joe@local.example");
	struct channel local;

	(void)state;
	srig_start();
	announce(&m);
	local = expect_spawn(2001);
	deliver_answer(&local, expect_delivery(&local, &m, "joe@local.example"), SD_DELIVERED, "delivered");
	expect_done(&m);
	channel_close(&local);
}

static void
recipients_are_recorded_one_by_one(void **state)
{
	struct srig_message m = srig_message(0, 0, "s@far.example", two, 2);
	struct channel joe, ann;
	uint64_t ref;

	(void)state;
	srig_start();
	announce(&m);
	joe = expect_spawn(2001);
	ann = expect_spawn(2002);
	ref = expect_delivery(&joe, &m, "joe@local.example");
	deliver_answer(&ann, expect_delivery(&ann, &m, "ann@local.example"), SD_DELIVERED, "delivered");
	expect_status(&m, 1, STORE_DELIVERED, "");
	expect_silence(&srig_queue, 50); /* joe's result is not there */
	deliver_answer(&joe, ref, SD_DELIVERED, "delivered");
	expect_status(&m, 0, STORE_DELIVERED, "");
	expect_done(&m);
}

static void
a_deferral_is_noted_and_tried_on_schedule(void **state)
{
	struct srig_message m = srig_simple("joe@local.example");
	uint64_t now = clock_wall_s(), due;
	struct channel local;

	(void)state;
	srig_start();
	announce(&m);
	local = expect_spawn(2001);
	deliver_answer(&local, expect_delivery(&local, &m, "joe@local.example"), SD_TEMPORARY, "disk full");
	expect_status(&m, 0, STORE_WAITING, "4.2.3 disk full");
	due = expect_later(&m);
	assert_in_range(due, now + 100, now + 160);
}

static void
another_host_is_tried_again_in_longer_steps(void **state)
{
	struct srig_message m = srig_simple("someone@far.example");
	uint64_t now = clock_wall_s();

	(void)state;
	srig_start();
	announce(&m);
	srig_defer(&m);
	expect_status(&m, 0, STORE_WAITING, "4.4.4 smtp;mx.far.example 451 not now");
	assert_in_range(expect_later(&m), now + 400, now + 500);
}

static void
after_the_lifetime_there_is_one_last_try(void **state)
{
	struct srig_message m = srig_message(DAY + 10, 0, "s@far.example", two, 1);
	struct channel local;
	const char *report;
	uint64_t ref;

	(void)state;
	srig_start();
	announce(&m);
	local = expect_spawn(2001);
	deliver_answer(&local, expect_delivery(&local, &m, "joe@local.example"), SD_TEMPORARY, "disk full");
	expect_status(&m, 0, STORE_FAILED, "5.2.3 disk full (this was the last try");
	report = expect_report("s@far.example", PQ_COMPLETE | PQ_BOUNCE, &ref);
	assert_non_null(strstr(report, "disk full"));
	assert_non_null(strstr(report, "Status: 5.2.3\r\n"));
	report_committed(ref);
	expect_done(&m);
}

static void
nothing_is_done_before_its_report_is_in_the_queue(void **state)
{
	struct srig_message m = srig_simple("none@local.example");
	const char *report;
	uint64_t ref;

	(void)state;
	srig_start();
	announce(&m);
	expect_status(&m, 0, STORE_FAILED, "5.1.1 ");
	report = expect_report("sender@far.example", PQ_COMPLETE | PQ_BOUNCE, &ref);
	assert_non_null(strstr(report, "Final-Recipient: rfc822;none@local.example\r\n"));
	expect_silence(&srig_queue, 50);
	report_failed(ref);
	(void)expect_later(&m); /* kept, and tried again */
	srig_say(QS_RETRY, &m);
	answer_fetch(&m, expect_fetch(&m));
	report = expect_report("sender@far.example", PQ_COMPLETE | PQ_BOUNCE, &ref);
	assert_non_null(strstr(report, "Final-Recipient: rfc822;none@local.example\r\n"));
	report_committed(ref);
	expect_done(&m);
}

static void
a_failure_is_reported_though_others_still_wait(void **state)
{
	struct srig_message m = srig_message(0, 0, "s@far.example", one_of_them_missing, 2);
	struct channel local;
	uint64_t ref;

	(void)state;
	srig_start();
	announce(&m);
	expect_status(&m, 1, STORE_FAILED, "5.1.1 ");
	local = expect_spawn(2001);
	deliver_answer(&local, expect_delivery(&local, &m, "joe@local.example"), SD_TEMPORARY, "later");
	expect_status(&m, 0, STORE_WAITING, "4.2.3 later");
	assert_null(strstr(expect_report("s@far.example", PQ_COMPLETE | PQ_BOUNCE, &ref), "joe@local.example>"));
	report_committed(ref);
	expect_status(&m, 1, STORE_REPORTED, "");
	(void)expect_later(&m);
	srig_say(QS_RETRY, &m);
	answer_fetch(&m, expect_fetch(&m));
	deliver_answer(&local, expect_delivery(&local, &m, "joe@local.example"), SD_DELIVERED, "");
	expect_status(&m, 0, STORE_DELIVERED, "");
	expect_done(&m); /* the other one was told of before */
}

static void
who_wants_no_report_gets_none(void **state)
{
	static const struct srig_recipient r = { "none@local.example", 1 };
	struct srig_message m = srig_message(0, 0, "s@far.example", &r, 1);

	(void)state;
	srig_start();
	announce(&m);
	expect_status(&m, 0, STORE_FAILED, "5.1.1 ");
	expect_done(&m);
	expect_silence(&srig_bounces, 50);
}

static void
a_delivery_that_is_to_be_reported_is_not_repeated_for_the_report(void **state)
{
	static const struct srig_recipient r = { "joe@local.example", 2 };
	struct srig_message m = srig_message(0, 0, "s@far.example", &r, 1);
	struct channel local;
	uint64_t ref;

	(void)state;
	srig_start();
	announce(&m);
	local = expect_spawn(2001);
	deliver_answer(&local, expect_delivery(&local, &m, "joe@local.example"), SD_DELIVERED, "");
	expect_status(&m, 0, STORE_DELIVERED, "");
	(void)expect_report("s@far.example", PQ_COMPLETE | PQ_BOUNCE, &ref);
	report_failed(ref);
	(void)expect_later(&m);
	srig_say(QS_RETRY, &m);
	answer_fetch(&m, expect_fetch(&m));
	assert_non_null(strstr(expect_report("s@far.example", PQ_COMPLETE | PQ_BOUNCE, &ref), "Action: delivered"));
	report_committed(ref);
	expect_done(&m);
}

static void
a_delay_is_told_once_to_who_asked(void **state)
{
	static const struct srig_recipient r = { "joe@local.example", 8 | 4 };
	struct srig_message m = srig_message(5 * 3600, 0, "s@far.example", &r, 1);
	struct channel local;
	uint64_t ref;

	(void)state;
	srig_start();
	announce(&m);
	local = expect_spawn(2001);
	deliver_answer(&local, expect_delivery(&local, &m, "joe@local.example"), SD_TEMPORARY, "later");
	expect_status(&m, 0, STORE_WAITING, "4.2.3 later");
	assert_non_null(strstr(expect_report("s@far.example", PQ_COMPLETE | PQ_BOUNCE, &ref), "Action: delayed"));
	report_committed(ref);
	(void)expect_later(&m);
	srig_say(QS_RETRY, &m);
	answer_fetch(&m, expect_fetch(&m));
	deliver_answer(&local, expect_delivery(&local, &m, "joe@local.example"), SD_TEMPORARY, "later");
	expect_status(&m, 0, STORE_WAITING, "4.2.3 later");
	(void)expect_later(&m);
	expect_silence(&srig_bounces, 50);
}

static void
reports_that_fail_go_to_the_postmaster_and_then_nowhere(void **state)
{
	static const struct srig_recipient r = { "none@local.example", 0 };
	struct srig_message m = srig_message(0, STORE_BOUNCE, "", &r, 1);
	struct srig_message second = srig_message(0, STORE_BOUNCE | STORE_DOUBLE_BOUNCE, "", &r, 1);
	uint64_t ref;

	(void)state;
	srig_start();
	announce(&m);
	expect_status(&m, 0, STORE_FAILED, "5.1.1 ");
	(void)expect_report("postmaster@mx.example.org", PQ_COMPLETE | PQ_BOUNCE | PQ_DOUBLE_BOUNCE, &ref);
	report_committed(ref);
	expect_done(&m);
	announce(&second);
	expect_status(&second, 0, STORE_FAILED, "5.1.1 ");
	expect_done(&second);
	expect_silence(&srig_bounces, 50);
}

static void
a_local_that_dies_defers_its_own_and_the_next_one_takes_over(void **state)
{
	struct srig_message first = srig_simple("joe@local.example"), second = srig_simple("joe@local.example");
	struct channel local;
	uint64_t ref;

	(void)state;
	srig_start();
	announce(&first);
	local = expect_spawn(2001);
	ref = expect_delivery(&local, &first, "joe@local.example");
	deliver_answer(&local, ref, SD_DELIVERED, "");
	expect_done(&first);
	announce(&second);
	(void)expect_delivery(&local, &second, "joe@local.example");
	channel_close(&local);
	expect_status(&second, 0, STORE_WAITING, "4.3.0 the delivery process ended early");
	(void)expect_later(&second);
	srig_say(QS_RETRY, &second);
	answer_fetch(&second, expect_fetch(&second));
	local = expect_spawn(2001);
	deliver_answer(&local, expect_delivery(&local, &second, "joe@local.example"), SD_DELIVERED, "");
	expect_done(&second);
}

static void
a_local_that_talks_nonsense_is_not_listened_to(void **state)
{
	struct srig_message m = srig_simple("joe@local.example");
	struct wire_message end;
	static struct wire_buffer room;
	struct why why = WHY_NONE;
	struct channel local;
	uint64_t ref;

	(void)state;
	srig_start();
	announce(&m);
	local = expect_spawn(2001);
	ref = expect_delivery(&local, &m, "joe@local.example");
	deliver_answer(&local, ref + 1, SD_DELIVERED, "");
	expect_status(&m, 0, STORE_WAITING, "4.3.0 ");
	(void)expect_later(&m);
	assert_int_equal(channel_receive(&local, &room, &end, &why), ABSENT);
}

static void
a_spawn_that_is_refused_defers_with_its_reason(void **state)
{
	struct srig_message m = srig_simple("joe@local.example");
	static struct wire_buffer room;
	struct wire_message spawn;
	struct why why = WHY_NONE;

	(void)state;
	srig_start();
	announce(&m);
	assert_int_equal(channel_receive(&srig_lspawn, &room, &spawn, &why), OK);
	assert_int_equal(channel_send(&srig_lspawn, SL_REFUSED, spawn.ref, NULL, BYTES("not today"), NULL, &why), OK);
	expect_status(&m, 0, STORE_WAITING, "4.3.0 not today");
	(void)expect_later(&m);
	wire_close_fds(&spawn);
}

static void
a_process_with_nothing_to_do_makes_room_for_another_user(void **state)
{
	struct srig_message joes = srig_simple("joe@local.example"), anns = srig_simple("ann@local.example");
	static struct wire_buffer room;
	struct wire_message end;
	struct why why = WHY_NONE;
	struct channel joe, ann;
	uint64_t ref;

	(void)state;
	dir_put(&srig_dir, "concurrencylocal", "1\n");
	srig_start();
	announce(&joes);
	joe = expect_spawn(2001);
	ref = expect_delivery(&joe, &joes, "joe@local.example");
	announce(&anns);
	expect_silence(&srig_lspawn, 50); /* one at a time */
	deliver_answer(&joe, ref, SD_DELIVERED, "");
	expect_done(&joes);
	assert_int_equal(channel_receive(&joe, &room, &end, &why), ABSENT);
	ann = expect_spawn(2002);
	deliver_answer(&ann, expect_delivery(&ann, &anns, "ann@local.example"), SD_DELIVERED, "");
	expect_done(&anns);
	expect_silence(&srig_queue, 50);
	announce(&joes); /* now ann's is idle */
	joe = expect_spawn(2001);
	assert_int_equal(channel_receive(&ann, &room, &end, &why), ABSENT);
	(void)expect_delivery(&joe, &joes, "joe@local.example");
	channel_close(&joe);
	channel_close(&ann);
}

static void
what_is_held_is_neither_begun_nor_lost(void **state)
{
	struct srig_message m = srig_message(0, 0, "s@far.example", one_of_them_missing, 2);
	struct channel local;
	uint64_t ref;

	(void)state;
	srig_start();
	announce(&m);
	expect_status(&m, 1, STORE_FAILED, "5.1.1 ");
	local = expect_spawn(2001);
	ref = expect_delivery(&local, &m, "joe@local.example");
	srig_say(QS_FORGET, &m);
	announce(&m); /* released while its delivery is under way */
	expect_silence(&srig_queue, 50);
	deliver_answer(&local, ref, SD_DELIVERED, "");
	expect_status(&m, 0, STORE_DELIVERED, "");
	answer_fetch(&m, expect_fetch(&m));
	(void)expect_report("s@far.example", PQ_COMPLETE | PQ_BOUNCE, &ref);
	report_committed(ref);
	expect_done(&m);
}

static void
what_is_deleted_under_way_is_forgotten(void **state)
{
	struct srig_message m = srig_simple("joe@local.example");
	struct channel local;
	uint64_t ref;

	(void)state;
	srig_start();
	announce(&m);
	local = expect_spawn(2001);
	ref = expect_delivery(&local, &m, "joe@local.example");
	srig_say(QS_FORGET, &m);
	expect_silence(&srig_queue, 50); /* said before the answer is heard */
	deliver_answer(&local, ref, SD_TEMPORARY, "later");
	expect_status(&m, 0, STORE_WAITING, "4.2.3 later");
	expect_silence(&srig_queue, 100);
}

static void
an_administrator_may_return_a_message_untried(void **state)
{
	struct srig_message m = srig_simple("someone@far.example");
	uint64_t ref;

	(void)state;
	srig_start();
	announce(&m);
	srig_defer(&m);
	expect_status(&m, 0, STORE_WAITING, "4.4.4 ");
	(void)expect_later(&m);
	srig_say(QS_BOUNCE, &m);
	answer_fetch(&m, expect_fetch(&m));
	expect_status(&m, 0, STORE_FAILED, "5.0.0 returned by the administrator");
	assert_non_null(
	    strstr(expect_report("sender@far.example", PQ_COMPLETE | PQ_BOUNCE, &ref), "returned by the admin"));
	report_committed(ref);
	expect_done(&m);
}

static void
sigalrm_tries_everything_now(void **state)
{
	struct srig_message a = srig_simple("someone@far.example"), b = srig_simple("someone@far.example");

	(void)state;
	srig_start();
	announce(&a);
	srig_defer(&a);
	expect_status(&a, 0, STORE_WAITING, "4.4.4 ");
	(void)expect_later(&a);
	assert_int_equal(store_put_later(b.fd, 7, clock_wall_s() + 5000), OK);
	announce(&b); /* not due: nothing is said of it */
	expect_silence(&srig_queue, 50);
	assert_int_equal(kill(srig_child, SIGALRM), 0);
	answer_fetch(&a, expect_fetch(&a));
	answer_fetch(&b, expect_fetch(&b));
	srig_defer(&a);
	expect_status(&a, 0, STORE_WAITING, "4.4.4 ");
	(void)expect_later(&a);
	srig_defer(&b);
	expect_status(&b, 0, STORE_WAITING, "4.4.4 ");
	(void)expect_later(&b);
}

static void
a_message_waits_once_however_often_it_is_asked_for(void **state)
{
	struct srig_message m = srig_simple("someone@far.example");

	(void)state;
	srig_start();
	announce(&m);
	srig_defer(&m);
	expect_status(&m, 0, STORE_WAITING, "4.4.4 ");
	(void)expect_later(&m);
	for (int i = 0; i < 3; i++) {
		srig_say(QS_RETRY, &m);
		answer_fetch(&m, expect_fetch(&m));
		srig_defer(&m);
		expect_status(&m, 0, STORE_WAITING, "4.4.4 ");
		(void)expect_later(&m);
	}
	assert_int_equal(kill(srig_child, SIGALRM), 0);
	(void)expect_fetch(&m);
	expect_silence(&srig_queue, 100); /* no second one */
}

#define rig(test) cmocka_unit_test_setup_teardown(test, srig_set_up, srig_tear_down)

int
main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		rig(a_lone_recipient_is_delivered_and_done),
		rig(recipients_are_recorded_one_by_one),
		rig(a_deferral_is_noted_and_tried_on_schedule),
		rig(another_host_is_tried_again_in_longer_steps),
		rig(after_the_lifetime_there_is_one_last_try),
		rig(nothing_is_done_before_its_report_is_in_the_queue),
		rig(a_failure_is_reported_though_others_still_wait),
		rig(who_wants_no_report_gets_none),
		rig(a_delivery_that_is_to_be_reported_is_not_repeated_for_the_report),
		rig(a_delay_is_told_once_to_who_asked),
		rig(reports_that_fail_go_to_the_postmaster_and_then_nowhere),
		rig(a_local_that_dies_defers_its_own_and_the_next_one_takes_over),
		rig(a_local_that_talks_nonsense_is_not_listened_to),
		rig(a_spawn_that_is_refused_defers_with_its_reason),
		rig(a_process_with_nothing_to_do_makes_room_for_another_user),
		rig(what_is_held_is_neither_begun_nor_lost),
		rig(what_is_deleted_under_way_is_forgotten),
		rig(an_administrator_may_return_a_message_untried),
		rig(sigalrm_tries_everything_now),
		rig(a_message_waits_once_however_often_it_is_asked_for),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
