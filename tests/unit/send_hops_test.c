/* Deliveries to other hosts: transactions, connections, fairness, memory.
 * The test plays queue and the sessions of remote.
 * Nothing here depends on how fast the machine is, but for a patience of some seconds. */
#include "unit.h"

#include "send_rig.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static void
recipients_at_one_destination_go_together_a_hundred_at_a_time(void **state)
{
	static struct srig_recipient many[250];
	struct srig_message m;
	struct channel first, second;
	uint64_t refs[3];

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
	struct srig_message m = srig_message(0, 0, "s@far.example", two, 2), again = srig_from("s@far.example");
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
	expect_delivered(&far, &again);
	channel_close(&far);
	channel_close(&other);
}

/* Gives every transaction that comes an answer until `wanted` is among them: how many there were before it. */
static unsigned
serve_until(struct channel *session, const struct srig_message *wanted)
{
	static struct wire_buffer room;

	for (unsigned n = 0;; n++) {
		struct wire_message m;
		struct why why = WHY_NONE;
		bool found;

		assert_int_equal(channel_receive(session, &room, &m, &why), OK);
		assert_int_equal(m.type, RM_MESSAGE);
		found = strcmp(((const struct rm_message *)m.body)->id, wanted->id.text) == 0;
		wire_close_fds(&m);
		assert_int_equal(channel_receive(session, &room, &m, &why), OK);
		assert_int_equal(m.type, RM_RECIPIENTS);
		remote_answer(session, m.ref, RM_DELIVERED, RM_OF_RECIPIENT, false, "250 ok");
		if (found)
			return n;
	}
}

static void
one_senders_thousand_messages_do_not_delay_anothers_single_one(void **state)
{
	struct srig_message many = srig_from("bulk@far.example"), single = srig_from("you@far.example");
	struct channel session, local;
	uint32_t credit = 0;

	(void)state;
	dir_put(&srig_dir, "concurrencydestination", "1\n");
	srig_start();
	single.id = id_of_number(id_number(&many.id) - 1); /* the others are counted up */
	srig_announce_many(&many, 1000, &credit);
	announce(&single);
	local = expect_all_read();
	session = expect_session("far.example");
	assert_in_range(serve_until(&session, &single), 0, 2 * RM_IN_FLIGHT);
	channel_close(&session);
	channel_close(&local);
}

/* Takes sessions until there come no more; answers the first transaction of each. */
static unsigned
count_sessions(struct channel sessions[], unsigned n)
{
	struct pollfd p = { srig_remote.fd, POLLIN, 0 };

	while (poll(&p, 1, 200) > 0)
		sessions[n++] = expect_session("far.example");
	return n;
}

static void
connections_grow_with_success_and_shrink_when_the_peer_wants_fewer(void **state)
{
	struct channel sessions[30];
	struct srig_message m = srig_from("s@far.example");
	uint32_t credit = 0;
	unsigned n;

	(void)state;
	dir_put(&srig_dir, "concurrencydestination", "6\n");
	srig_start();
	srig_announce_many(&m, 300, &credit);
	n = count_sessions(sessions, 0);
	assert_int_equal(n, 2); /* until it has shown that it takes more */
	for (unsigned i = 0; i < 8; i++)
		remote_answer(&sessions[i % 2], expect_transaction(&sessions[i % 2], NULL, 1, ""), RM_DELIVERED,
		    RM_OF_RECIPIENT, false, "250 ok");
	n = count_sessions(sessions, n);
	assert_int_equal(n, 6);
	remote_answer(&sessions[5], expect_transaction(&sessions[5], NULL, 1, ""), RM_TEMPORARY, RM_OF_PEER, true,
	    "421 too many connections");
	for (unsigned i = 0; i < 3; i++)
		remote_answer(
		    &sessions[5], expect_transaction(&sessions[5], NULL, 1, ""), RM_UNTRIED, RM_OF_RECIPIENT, true, "");
	channel_close(&sessions[5]);
	for (unsigned i = 0; i < 20; i++)
		remote_answer(&sessions[i % 5], expect_transaction(&sessions[i % 5], NULL, 1, ""), RM_DELIVERED,
		    RM_OF_RECIPIENT, false, "250 ok");
	assert_int_equal(count_sessions(sessions, 0), 0); /* it is left at five for a while */
	while (n-- > 1)
		channel_close(&sessions[n - 1]);
}

static void
a_connection_that_has_nothing_to_do_makes_room_for_another_destination(void **state)
{
	struct srig_message m[2] = { srig_from("s@far.example"), srig_simple("a@other.example") };
	struct channel session, other;
	char octet;

	(void)state;
	dir_put(&srig_dir, "concurrencyremote", "1\n");
	srig_start();
	announce(&m[0]);
	session = expect_session("far.example");
	expect_delivered(&session, &m[0]);
	announce(&m[1]);
	other = expect_session("other.example");
	assert_int_equal(recv(session.fd, &octet, 1, 0), 0);
	remote_answer(&other, expect_transaction(&other, &m[1], 1, "a@other.example"), RM_DELIVERED, RM_OF_RECIPIENT,
	    false, "250 ok");
	expect_done(&m[1]);
	channel_close(&session);
	channel_close(&other);
}

static void
what_waits_for_a_host_that_hangs_is_light_and_leaves_room_for_others(void **state)
{
	struct srig_message many = srig_from("s@far.example"), live = srig_simple("a@other.example");
	struct channel session;
	uint32_t credit = 0;
	unsigned before;

	(void)state;
	srig_start();
	live.id = id_of_number(id_number(&many.id) - 1);
	srig_announce_many(&many, 3000, &credit);
	before = srig_resident_kib();
	srig_announce_many(&many, 50000, &credit);
	assert_in_range(srig_resident_kib(), 1, before + 4000 + SRIG_SHADOW_KIB);
	announce(&live);
	do
		session = expect_session(NULL); /* and nobody answers the others */
	while (strcmp(srig_domain, "other.example") != 0);
	remote_answer(&session, expect_transaction(&session, &live, 1, "a@other.example"), RM_DELIVERED,
	    RM_OF_RECIPIENT, false, "250 ok");
	expect_done(&live);
	channel_close(&session);
}

#define rig(test) cmocka_unit_test_setup_teardown(test, srig_set_up, srig_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig(recipients_at_one_destination_go_together_a_hundred_at_a_time),
		rig(each_destination_has_its_own_connection_which_is_used_again),
		rig(one_senders_thousand_messages_do_not_delay_anothers_single_one),
		rig(connections_grow_with_success_and_shrink_when_the_peer_wants_fewer),
		rig(a_connection_that_has_nothing_to_do_makes_room_for_another_destination),
		rig(what_waits_for_a_host_that_hangs_is_light_and_leaves_room_for_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
