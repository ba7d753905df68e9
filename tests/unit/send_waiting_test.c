/* Tests of the schedule, of the messages that wait for it, and of those that wait for a line.
 * Trusts a plain list to be right about order.
 * Never leaves its own memory and one socketpair. */
#include "unit.h"

#include "failing.h"
#include "send/parking.h"
#include "send/send.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N 3000
#define ROOM 150 /* fetches that a socket takes at once */

static struct send self;
static struct channel queue;
static struct wire_buffer buffer;

/* ---- the schedule ---- */

static void
the_schedule_is_quadratic(void **state)
{
	static const struct {
		uint64_t birth, now;
		enum channel_kind kind;
		uint64_t next;
	} rows[] = {
		{ 1000, 1000, KIND_LOCAL, 1100 },  /* 10^2 */
		{ 1000, 1100, KIND_LOCAL, 1400 },  /* 20^2 */
		{ 1000, 1400, KIND_LOCAL, 1900 },  /* 30^2 */
		{ 1000, 1399, KIND_LOCAL, 1841 },  /* 29^2 */
		{ 1000, 1000, KIND_REMOTE, 1400 }, /* 20^2 */
		{ 1000, 1400, KIND_REMOTE, 2600 }, /* 40^2 */
		{ 2000, 1000, KIND_LOCAL, 1100 },  /* of the future: born now */
		{ 0, UINT64_C(1) << 41, KIND_LOCAL,
		    (UINT64_C(1) << 41) + 1 }, /* beyond all measure: never in the past */
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++)
		assert_int_equal(schedule_next(rows[i].birth, rows[i].now, rows[i].kind), rows[i].next);
}

static void
a_message_that_a_peer_may_have_comes_to_it_few_times_in_a_week(void **state)
{
	const uint64_t birth = 1000000, lifetime = 604800;

	(void)state;
	for (uint64_t first = 0; first < lifetime; first = first * 2 + 400) {
		unsigned copies = 1;
		uint64_t now = birth + first;

		for (; now <= birth + lifetime; copies++) {
			uint64_t next = schedule_in_doubt(birth, now, lifetime);

			assert_true(next >= now + 1 && (next >= now + 3600 || next == birth + lifetime + 1));
			now = next;
		}
		assert_in_range(copies, 2, 7);
		assert_true(now <= birth + lifetime + 3601); /* the last try is at the end of its life */
	}
}

static void
of_all_attempts_one_is_the_first_after_an_age(void **state)
{
	(void)state;
	for (enum channel_kind kind = KIND_LOCAL; kind <= KIND_REMOTE; kind++)
		for (uint64_t late = 0; late < 200; late += 7) { /* attempts begin some time after they are due */
			uint64_t birth = 1000000, now = birth, due = 0;
			unsigned n = 0, attempts = 0;

			for (; now < birth + 604800; now = due + late, attempts++) {
				bool passes = schedule_passes(birth, due, now, DELAY_NOTICE_S, kind);

				assert_true(!passes || now - birth >= DELAY_NOTICE_S);
				n += passes;
				due = schedule_next(birth, now, kind);
			}
			assert_int_equal(n, 1);
			assert_true(attempts > 20);
		}
}

/* ---- waiting ---- */

static int
set_up(void **state)
{
	static const struct port_events none;
	struct why why = WHY_NONE;
	int pair[2];

	(void)state;
	memset(&self, 0, sizeof self);
	self.in_hand_max = IN_HAND_MAX;
	assert_int_equal(loop_open(&self.loop, &why), OK);
	assert_int_equal(channel_pair(pair, &why), OK);
	queue = channel_of(pair[1], &queue_send_protocol, QS_QUEUE, false);
	assert_int_equal(port_open(&self.queue, &self.loop, channel_of(pair[0], &queue_send_protocol, QS_SEND, false),
			     &none, 10, &why),
	    OK);
	waiting_open(&self);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	waiting_open(&self); /* gives its memory back */
	port_close(&self.queue);
	channel_close(&queue);
	loop_close(&self.loop);
	return 0;
}

static bool
next_fetch(uint64_t *number, uint64_t *ref)
{
	struct wire_message m;
	struct why why = WHY_NONE;
	struct id id;

	if (channel_receive(&queue, &buffer, &m, &why) != OK)
		return false;
	assert_int_equal(m.type, QS_FETCH);
	assert_true(id_from_bytes(bytes_of(((const struct qs_name *)m.body)->id, ID_LEN), &id));
	*number = id_number(&id);
	*ref = m.ref;
	return true;
}

static void
close_room(bool closed)
{
	self.n_in_hand = closed ? IN_HAND_MAX : 0;
}

static void
what_waits_comes_once_and_in_its_order(void **state)
{
	static uint64_t due[N + 1]; /* of message number i; 0: does not wait */
	uint64_t number, before = 0;
	uint64_t ref;
	size_t n = 0, seen = 0;

	(void)state;
	srandom(7);
	memset(due, 0, sizeof due);
	close_room(true);
	for (int i = 0; i < 20 * N; i++) {
		size_t k = (size_t)random() % N + 1;
		struct id id = id_of_number(k * 1000003);

		if (random() % 3 == 0) {
			waiting_remove(&id);
			due[k] = 0;
		} else {
			due[k] = (uint64_t)random() % 100000 + 1;
			assert_true(waiting_add(&self, &id, due[k]));
		}
	}
	for (size_t k = 1; k <= N; k++)
		n += due[k] != 0;
	assert_int_equal(waiting_count(), n);
	while (seen < n) {
		close_room(false);
		self.n_fetching = IN_HAND_MAX / 2 - ROOM;
		waiting_go_on(&self);
		close_room(true);
		for (int i = 0; i < ROOM && next_fetch(&number, &ref); i++, seen++) {
			assert_int_equal(number % 1000003, 0);
			number /= 1000003;
			assert_in_range(number, 1, N);
			assert_in_range(due[number], before, 100000);
			assert_int_equal(ref, ASK_DUE);
			before = due[number];
			due[number] = 0;
		}
	}
	assert_int_equal(waiting_count(), 0);
	assert_false(next_fetch(&number, &ref));
}

static void
what_is_not_due_is_not_asked_for_unless_wanted(void **state)
{
	struct id a = id_of_number(1), b = id_of_number(2);
	uint64_t number;
	uint64_t ref;

	(void)state;
	assert_true(waiting_add(&self, &a, UINT64_MAX / 2));
	assert_true(waiting_add(&self, &b, UINT64_MAX / 2));
	assert_false(next_fetch(&number, &ref));
	waiting_ask(&self, &b, ASK_RETURN);
	assert_true(next_fetch(&number, &ref));
	assert_int_equal(number, 2);
	assert_int_equal(ref, ASK_RETURN);
	waiting_ask_all(&self);
	assert_true(next_fetch(&number, &ref));
	assert_int_equal(number, 1);
	assert_int_equal(ref, ASK_NOW);
	assert_int_equal(waiting_count(), 0);
}

static void
without_memory_what_waits_goes_on_waiting(void **state)
{
	(void)state;
	close_room(true);
	for (uint64_t i = 1; i <= 1024; i++) {
		struct id id = id_of_number(i);

		assert_true(waiting_add(&self, &id, i));
	}
	for (unsigned n = 1; n <= 2; n++) {
		struct id id = id_of_number(5000);

		fail_allocation(n);
		assert_false(waiting_add(&self, &id, 1));
		assert_true(allocation_failed());
		assert_int_equal(waiting_count(), 1024);
	}
	fail_allocation(0);
	for (uint64_t i = 1; i <= 1024; i++) {
		struct id id = id_of_number(i);

		waiting_remove(&id);
		assert_int_equal(waiting_count(), 1024 - i);
	}
}

/* ---- parking ---- */

static void
what_is_parked_comes_out_as_it_went_in(void **state)
{
	struct parking p = { 0 };
	uint64_t in = 0, out = 0;

	(void)state;
	srandom(3);
	for (int i = 0; i < 20000; i++) {
		struct id id = id_of_number(in + 1);

		if (p.n > 0 && random() % 5 < 2) {
			id = parking_take(&p);
			assert_int_equal(id_number(&id), ++out);
			continue;
		}
		assert_true(parking_put(&p, &id));
		assert_true(parking_put(&p, &id)); /* its second recipient */
		assert_int_equal(p.n, ++in - out);
	}
	free(p.ring);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_schedule_is_quadratic),
		cmocka_unit_test(a_message_that_a_peer_may_have_comes_to_it_few_times_in_a_week),
		cmocka_unit_test(of_all_attempts_one_is_the_first_after_an_age),
		cmocka_unit_test_setup_teardown(what_waits_comes_once_and_in_its_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_not_due_is_not_asked_for_unless_wanted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_memory_what_waits_goes_on_waiting, set_up, tear_down),
		cmocka_unit_test(what_is_parked_comes_out_as_it_went_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
