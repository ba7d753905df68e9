/* Deliveries to other hosts: transactions, connections, what a failure of the host means, fairness.
 * The test plays queue and the sessions of remote.
 * Nothing here depends on how fast the machine is, but for a patience of some seconds. */
#include "unit.h"

#include "send_rig.h"
#include "sys/clock.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static const struct srig_recipient one[] = { { "a@far.example", 0 } };

static struct srig_message
from(const char *sender)
{
	return srig_message(0, 0, sender, one, 1);
}

static void
deliver_next(struct channel *session, const struct srig_message *m)
{
	remote_answer(session, expect_transaction(session, m, 1, "a@far.example"), RM_DELIVERED, RM_OF_RECIPIENT, false,
	    "250 ok");
	expect_done(m);
}

static void
recipients_at_one_destination_go_together_a_hundred_at_a_time(void **state)
{
	static struct srig_recipient many[250];
	struct srig_message m;
	struct channel first, second;
	uint32_t refs[3];

	(void)state;
	for (size_t i = 0; i < nitems(many); i++)
		many[i].address = i % 2 == 0 ? "a@far.example" : i == 249 ? "c@FAR.Example" : "b@far.example";
	m = srig_message(0, 0, "s@far.example", many, 250);
	srig_start();
	announce(&m);
	first = expect_session("far.example");
	refs[0] = expect_transaction(&first, &m, 100, "a@far.example");
	refs[1] = expect_transaction(&first, &m, 100, "a@far.example");
	second = expect_session("far.example"); /* the first has enough to do */
	refs[2] = expect_transaction(&second, &m, 50, "a@far.example");
	remote_answer(&second, refs[2], RM_DELIVERED, RM_OF_RECIPIENT, false, "250 ok");
	for (uint32_t i = 200; i < 250; i++)
		expect_status(&m, i, STORE_DELIVERED, "");
	for (uint32_t k = 0; k < 2; k++) {
		remote_answer(&first, refs[k], RM_DELIVERED, RM_OF_RECIPIENT, false, "250 ok");
		for (uint32_t i = 100 * k; i < 100 * k + 100; i++)
			expect_status(&m, i, STORE_DELIVERED, "");
	}
	expect_done(&m);
	channel_close(&first);
	channel_close(&second);
}

static void
each_destination_has_its_own_connection_which_is_used_again(void **state)
{
	static const struct srig_recipient two[] = { { "a@far.example", 0 }, { "b@other.example", 0 } };
	struct srig_message m = srig_message(0, 0, "s@far.example", two, 2), again = from("s@far.example");
	struct channel far, other;

	(void)state;
	srig_start();
	announce(&m);
	far = expect_session("far.example");
	other = expect_session("other.example");
	remote_answer(
	    &far, expect_transaction(&far, &m, 1, "a@far.example"), RM_DELIVERED, RM_OF_RECIPIENT, false, "250 ok");
	expect_status(&m, 0, STORE_DELIVERED, "");
	remote_answer(&other, expect_transaction(&other, &m, 1, "b@other.example"), RM_DELIVERED, RM_OF_RECIPIENT,
	    false, "250 ok");
	expect_status(&m, 1, STORE_DELIVERED, "");
	expect_done(&m);
	announce(&again);
	deliver_next(&far, &again);
	channel_close(&far);
	channel_close(&other);
}

static void
what_was_not_tried_goes_again_at_once_and_first(void **state)
{
	struct srig_message m[3] = { from("s@far.example"), from("s@far.example"), from("s@far.example") };
	struct channel session;
	uint32_t refs[2];

	(void)state;
	srig_start();
	for (size_t i = 0; i < 2; i++)
		announce(&m[i]);
	session = expect_session("far.example");
	for (size_t i = 0; i < 2; i++)
		refs[i] = expect_transaction(&session, &m[i], 1, "a@far.example");
	remote_answer(&session, refs[0], RM_DELIVERED, RM_OF_RECIPIENT, true, "250 ok");
	expect_done(&m[0]);
	announce(&m[2]);
	remote_answer(&session, refs[1], RM_UNTRIED, RM_OF_RECIPIENT, true, "");
	channel_close(&session);
	session = expect_session("far.example");
	deliver_next(&session, &m[1]);
	deliver_next(&session, &m[2]);
	channel_close(&session);
}

static void
a_dead_host_is_not_asked_for_each_message(void **state)
{
	struct srig_message m[40];
	struct channel session;
	uint64_t due_s = 0;

	(void)state;
	for (size_t i = 0; i < nitems(m); i++)
		m[i] = from(i % 3 == 0 ? "s@far.example" : "t@far.example");
	srig_start();
	announce(&m[0]);
	session = expect_session("far.example");
	remote_answer(&session, expect_transaction(&session, &m[0], 1, "a@far.example"), RM_TEMPORARY, RM_OF_PEER, true,
	    "connection refused");
	expect_status(&m[0], 0, STORE_WAITING, "4.4.4 smtp;mx.far.example connection refused");
	(void)expect_later(&m[0]);
	for (size_t i = 1; i < nitems(m); i++) {
		announce(&m[i]);
		expect_status(&m[i], 0, STORE_WAITING, "4.4.4 smtp;mx.far.example connection refused");
		due_s = expect_later(&m[i]);
	}
	assert_true(due_s >= clock_wall_s() + 59); /* not before it may be tried */
	expect_silence(&srig_remote, 20);
	channel_close(&session);
	srig_say(QS_RETRY, &m[7]); /* the administrator knows better */
	answer_fetch(&m[7], expect_fetch(&m[7]));
	session = expect_session("far.example");
	deliver_next(&session, &m[7]);
	m[0] = from("s@far.example");
	announce(&m[0]);
	deliver_next(&session, &m[0]);
	channel_close(&session);
}

#define rig(test) cmocka_unit_test_setup_teardown(test, srig_set_up, srig_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig(recipients_at_one_destination_go_together_a_hundred_at_a_time),
		rig(each_destination_has_its_own_connection_which_is_used_again),
		rig(what_was_not_tried_goes_again_at_once_and_first),
		rig(a_dead_host_is_not_asked_for_each_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
