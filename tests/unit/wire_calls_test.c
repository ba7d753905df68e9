/* Tests of the table of open questions: an answer finds who asked, once, and nobody else ever.
 * The other side is the test itself, which answers in any order, late, twice, or what nobody asked.
 * Waits only for deadlines of some milliseconds. */
#include "unit.h"

#include "failing.h"
#include "sys/clock.h"
#include "wire/calls.h"

#include <string.h>

#define MANY 300

struct asker {
	struct caller who;
	unsigned n_ended[4], last_what;
	struct wire_message *last;
	uint64_t asks_again_of; /* what its callback asks, 0: nothing */
	bool forgets;           /* all it waits for, in its callback */
	bool waited;            /* for something else, when it was called back */
};

static struct loop loop;

static void
count(struct calls *c, struct caller *who, unsigned what, enum call_end how, struct wire_message *m)
{
	struct asker *a = container_of(who, struct asker, who);

	a->n_ended[how]++;
	a->last_what = what;
	a->last = m;
	a->waited = calls_wait(who);
	if (a->forgets)
		calls_forget(who);
	if (a->asks_again_of != 0)
		a->asks_again_of = calls_ask(c, who, what + 1, count, 0);
}

static unsigned
n_calls(const struct asker *a)
{
	return a->n_ended[CALL_ANSWERED] + a->n_ended[CALL_HEARD] + a->n_ended[CALL_EXPIRED] + a->n_ended[CALL_BROKEN];
}

static void
an_answer_finds_who_asked_and_which_question(void **state)
{
	struct calls c = calls_of(NULL, 10);
	struct asker a = { 0 }, b = { 0 };
	struct wire_message m = { 0 };
	uint64_t first = calls_ask(&c, &a.who, 1, count, 0), second = calls_ask(&c, &b.who, 2, count, 0),
		 third = calls_ask(&c, &a.who, 3, count, 0);

	(void)state;
	assert_true(first != 0 && second != 0 && third != 0);
	assert_true(calls_answered(&c, third, &m));
	assert_int_equal(a.last_what, 3);
	assert_ptr_equal(a.last, &m);
	assert_true(a.waited);
	assert_true(calls_answered(&c, first, &m));
	assert_int_equal(a.last_what, 1);
	assert_false(a.waited);
	assert_int_equal(n_calls(&b), 0);
	assert_true(calls_wait(&b.who));
	assert_true(calls_answered(&c, second, &m));
	assert_int_equal(b.n_ended[CALL_ANSWERED], 1);
	assert_int_equal(c.n, 0);
	calls_close(&c);
}

static void
a_second_answer_and_one_that_nobody_asked_for_find_nobody(void **state)
{
	static const uint64_t wrong[] = { 0, 1, UINT64_MAX, UINT64_C(1) << 20, 7 };
	struct calls c = calls_of(NULL, 10);
	struct asker a = { 0 };
	struct wire_message m = { 0 };
	uint64_t ref = calls_ask(&c, &a.who, 1, count, 0);

	(void)state;
	assert_true(calls_answered(&c, ref, &m));
	assert_false(calls_answered(&c, ref, &m));
	assert_false(calls_heard(&c, ref, &m));
	(void)calls_ask(&c, &a.who, 2, count, 0); /* in the same place */
	assert_false(calls_answered(&c, ref, &m));
	for (size_t i = 0; i < nitems(wrong); i++)
		assert_false(calls_answered(&c, wrong[i], &m));
	assert_int_equal(n_calls(&a), 1);
	calls_close(&c);
}

static void
no_reference_comes_again(void **state)
{
	struct calls c = calls_of(NULL, 4);
	struct asker a = { 0 };
	struct wire_message m = { 0 };
	uint64_t before = 0;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) { /* more than any reference of 16 bits, in the same few places */
		uint64_t ref = calls_ask(&c, &a.who, i, count, 0);

		assert_true(ref > before);
		before = ref;
		if (i % 2 == 0)
			calls_withdraw(&c, ref);
		else
			assert_true(calls_answered(&c, ref, &m));
	}
	assert_true(before > UINT32_MAX);
	calls_close(&c);
}

static void
a_late_answer_to_what_was_forgotten_reaches_nobody_and_frees_its_place(void **state)
{
	struct calls c = calls_of(NULL, 2);
	struct asker a = { 0 };
	struct wire_message m = { 0 };
	uint64_t first = calls_ask(&c, &a.who, 1, count, 0), second = calls_ask(&c, &a.who, 2, count, 0);

	(void)state;
	calls_forget(&a.who);
	assert_false(calls_wait(&a.who));
	assert_int_equal(calls_ask(&c, &a.who, 3, count, 0), 0); /* the other side still has two */
	assert_true(calls_heard(&c, second, &m));                /* an answer, though not the last */
	assert_int_equal(calls_ask(&c, &a.who, 3, count, 0), 0);
	assert_true(calls_answered(&c, first, &m));
	assert_true(calls_ask(&c, &a.who, 3, count, 0) != 0);
	calls_broken(&c);
	assert_int_equal(n_calls(&a), 1); /* of the third alone */
	assert_int_equal(a.last_what, 3);
	calls_close(&c);
}

static void
what_was_withdrawn_owes_no_answer(void **state)
{
	struct calls c = calls_of(NULL, 1);
	struct asker a = { 0 };
	struct wire_message m = { 0 };
	uint64_t ref = calls_ask(&c, &a.who, 1, count, 0), next;

	(void)state;
	calls_withdraw(&c, ref);
	calls_withdraw(&c, ref);
	assert_false(calls_wait(&a.who));
	next = calls_ask(&c, &a.who, 2, count, 0);
	assert_true(next != 0 && next != ref);
	calls_withdraw(&c, ref); /* not the next one's */
	assert_false(calls_answered(&c, ref, &m));
	assert_true(calls_wait(&a.who));
	assert_int_equal(n_calls(&a), 0);
	calls_close(&c);
}

static void
a_question_stays_open_until_the_last_word(void **state)
{
	struct calls c = calls_of(NULL, 1);
	struct asker a = { 0 };
	struct wire_message m = { 0 };
	uint64_t ref = calls_ask(&c, &a.who, 1, count, 0);

	(void)state;
	assert_true(calls_heard(&c, ref, &m));
	assert_true(calls_heard(&c, ref, &m));
	assert_true(a.waited);
	assert_int_equal(a.n_ended[CALL_HEARD], 2);
	calls_renew(&c, ref, 1000);
	assert_true(calls_answered(&c, ref, &m));
	assert_int_equal(a.n_ended[CALL_ANSWERED], 1);
	assert_false(calls_heard(&c, ref, &m));
	calls_close(&c);
}

static void
a_broken_channel_ends_what_was_open_and_nothing_that_is_asked_meanwhile(void **state)
{
	struct calls c = calls_of(NULL, MANY);
	struct asker a[MANY] = { 0 };
	struct wire_message m = { 0 };

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		assert_true(calls_ask(&c, &a[i].who, i, count, 0) != 0);
	a[7].asks_again_of = 1;
	a[9].forgets = true;
	calls_broken(&c);
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(a[i].n_ended[CALL_BROKEN], 1);
		assert_int_equal(a[i].last_what, i);
		assert_int_equal(calls_wait(&a[i].who), i == 7);
	}
	assert_int_equal(c.n, 1);
	calls_withdraw(&c, a[7].asks_again_of);
	assert_false(calls_answered(&c, a[7].asks_again_of, &m));
	calls_close(&c);
}

static void
who_forgets_in_his_callback_is_not_called_for_the_rest(void **state)
{
	struct calls c = calls_of(NULL, 10);
	struct asker a = { .forgets = true };

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		(void)calls_ask(&c, &a.who, i, count, 0);
	calls_broken(&c);
	assert_int_equal(n_calls(&a), 1);
	assert_int_equal(c.n, 0);
	calls_close(&c);
}

static void
stop(struct loop *l, struct timer *t)
{
	(void)t;
	l->stop = true;
}

static void
run_for(uint64_t ms)
{
	struct timer end = { .due = stop };
	struct why why = WHY_NONE;

	loop.stop = false;
	loop.now = clock_ms();
	assert_int_equal(loop_at(&loop, &end, loop.now + ms), OK);
	assert_int_equal(loop_run(&loop, &why), OK);
}

static void
a_question_that_nobody_answers_ends_at_its_deadline_and_its_answer_is_owed(void **state)
{
	struct why why = WHY_NONE;
	struct calls c;
	struct asker a = { 0 }, b = { 0 }, patient = { 0 };
	struct wire_message m = { 0 };
	uint64_t ref, answered, renewed;

	(void)state;
	assert_int_equal(loop_open(&loop, &why), OK);
	loop.now = clock_ms();
	c = calls_of(&loop, 4);
	ref = calls_ask(&c, &a.who, 1, count, 5);
	answered = calls_ask(&c, &b.who, 2, count, 5);
	assert_true(calls_ask(&c, &patient.who, 3, count, 0) != 0);
	renewed = calls_ask(&c, &patient.who, 4, count, 5);
	assert_true(calls_answered(&c, answered, &m));
	assert_true(calls_heard(&c, renewed, &m)); /* it has no deadline any more */
	run_for(20);
	assert_int_equal(a.n_ended[CALL_EXPIRED], 1);
	assert_null(a.last);
	assert_int_equal(n_calls(&b), 1);
	assert_int_equal(n_calls(&patient), 1);
	assert_int_equal(c.n, 3);
	assert_true(calls_answered(&c, ref, &m)); /* too late */
	assert_int_equal(n_calls(&a), 1);
	calls_renew(&c, renewed, 5);
	run_for(20);
	assert_int_equal(patient.n_ended[CALL_EXPIRED], 1);
	(void)calls_ask(&c, &a.who, 5, count, 5);
	calls_forget(&a.who);
	run_for(20);
	assert_int_equal(n_calls(&a), 1);
	calls_close(&c);
	assert_int_equal(loop.n_timers, 0);
	loop_close(&loop);
}

static void
no_memory_is_no_reference_and_loses_no_place(void **state)
{
	struct why why = WHY_NONE;
	struct asker a = { 0 };
	struct calls c;

	(void)state;
	for (unsigned n = 1;; n++) {
		assert_int_equal(loop_open(&loop, &why), OK);
		c = calls_of(&loop, 3);
		fail_allocation(n);
		for (unsigned i = 0; i < 3; i++)
			if (calls_ask(&c, &a.who, i, count, 1000) == 0) /* then without trouble */
				assert_true(calls_ask(&c, &a.who, i, count, 1000) != 0);
		assert_int_equal(c.n, 3);
		assert_int_equal(calls_ask(&c, &a.who, 3, count, 1000), 0);
		calls_close(&c);
		assert_false(calls_wait(&a.who));
		loop_close(&loop);
		if (!allocation_failed())
			break;
	}
	assert_int_equal(n_calls(&a), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_finds_who_asked_and_which_question),
		cmocka_unit_test(a_second_answer_and_one_that_nobody_asked_for_find_nobody),
		cmocka_unit_test(no_reference_comes_again),
		cmocka_unit_test(a_late_answer_to_what_was_forgotten_reaches_nobody_and_frees_its_place),
		cmocka_unit_test(what_was_withdrawn_owes_no_answer),
		cmocka_unit_test(a_question_stays_open_until_the_last_word),
		cmocka_unit_test(a_broken_channel_ends_what_was_open_and_nothing_that_is_asked_meanwhile),
		cmocka_unit_test(who_forgets_in_his_callback_is_not_called_for_the_rest),
		cmocka_unit_test(a_question_that_nobody_answers_ends_at_its_deadline_and_its_answer_is_owed),
		cmocka_unit_test(no_memory_is_no_reference_and_loses_no_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
