/* Places for processes that deliver locally: however many hang, the others have theirs. */
#include "unit.h"

#include "base/bytes.h"
#include "send/slots.h"
#include "send_rig.h"

#define MAX 3

static struct slot slots[12];

static void
end_all(void)
{
	struct slot *idle;

	for (size_t i = 0; i < nitems(slots); i++)
		slot_ended(&slots[i]);
	while (slots_next(MAX, &idle) != NULL)
		continue;
}

/* Lets all that can start; how many. */
static unsigned
start_all(void)
{
	struct slot *next, *idle;
	unsigned n = 0;

	for (; (next = slots_next(MAX, &idle)) != NULL; n++) {
		if (idle != NULL)
			slot_ended(idle);
		slot_started(next);
	}
	return n;
}

static void
so_many_run_at_a_time_and_the_others_in_their_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < 5; i++) {
		slot_wait(&slots[i]);
		slot_wait(&slots[i]);
	}
	assert_int_equal(start_all(), MAX);
	assert_true(slots[0].runs && slots[2].runs && !slots[3].runs && slots_are_waited_for());
	slot_set_idle(&slots[1], true);
	assert_int_equal(start_all(), 1);
	assert_true(!slots[1].runs && slots[3].runs && !slots[4].runs);
	slot_ended(&slots[0]);
	assert_int_equal(start_all(), 1);
	assert_false(slots_are_waited_for());
	end_all();
}

static void
slow_ones_hold_up_nobody_but_have_a_bound_all_together(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(slots); i++)
		slot_wait(&slots[i]);
	assert_int_equal(start_all(), MAX);
	slot_lend(&slots[0]);
	slot_lend(&slots[0]);
	assert_int_equal(start_all(), 1);
	for (size_t i = 0; i < 4; i++)
		slot_lend(&slots[i]);
	assert_int_equal(start_all(), 2); /* six in all, however many are slow */
	slot_lend(&slots[4]);
	assert_int_equal(start_all(), 0);
	slot_ended(&slots[0]);
	assert_int_equal(start_all(), 1);
	end_all();
}

static void
one_that_answers_again_has_its_place_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < 6; i++)
		slot_wait(&slots[i]);
	assert_int_equal(start_all(), MAX);
	slot_lend(&slots[0]);
	assert_int_equal(start_all(), 1);
	slot_reclaim(&slots[0]);
	slot_ended(&slots[1]);
	assert_int_equal(start_all(), 0); /* three run */
	slot_ended(&slots[2]);
	assert_int_equal(start_all(), 1);
	end_all();
}

/* A user can stop his own process, or have his Maildir on a file system that hangs. */
static void
a_user_who_stops_his_delivery_keeps_nobody_else_waiting(void **state)
{
	struct srig_message joes = srig_simple("joe@local.example"), anns = srig_simple("ann@local.example");
	struct channel joe, ann;
	uint64_t ref;

	(void)state;
	srig_slow_ms = 100;
	dir_put(&srig_dir, "concurrencylocal", "1\n");
	srig_start();
	srig_slow_ms = 0;
	announce(&joes);
	joe = expect_spawn(2001);
	ref = expect_delivery(&joe, &joes, "joe@local.example");
	announce(&anns);
	expect_silence(&srig_lspawn, 20); /* one at a time */
	ann = expect_spawn(2002);
	deliver_answer(&ann, expect_delivery(&ann, &anns, "ann@local.example"), SD_DELIVERED, "");
	expect_done(&anns);
	deliver_answer(&joe, ref, SD_DELIVERED, ""); /* he was only slow */
	expect_done(&joes);
	channel_close(&joe);
	channel_close(&ann);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(so_many_run_at_a_time_and_the_others_in_their_order),
		cmocka_unit_test(slow_ones_hold_up_nobody_but_have_a_bound_all_together),
		cmocka_unit_test(one_that_answers_again_has_its_place_back),
		cmocka_unit_test_setup_teardown(
		    a_user_who_stops_his_delivery_keeps_nobody_else_waiting, srig_set_up, srig_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
