/* Reverse-paths of their own for each recipient: their form, and that each recipient gets his. */
#include "unit.h"

#include "mail/verp.h"
#include "send_rig.h"

#include <string.h>

static void
a_reverse_path_names_its_recipient(void **state)
{
	static const char *const rows[][3] = {
		{ "list-return-7-@host.example", "joe@far.example", "list-return-7-joe=far.example@host.example" },
		{ "list-@h.example", "joe-x=y@far.example", "list-joe-x=y=far.example@h.example" },
		{ "list-@h.example", "\"a b\"@far.example", "\"list-a b=far.example\"@h.example" },
		{ "list-@h.example", "\"a\\\"@b\"@far.example", "\"list-a\\\"@b=far.example\"@h.example" },
		{ "\"my list-\"@h.example", "joe@far.example", "\"my list-joe=far.example\"@h.example" },
		{ "\"list-\"@h.example", "\"joe\"@far.example", "list-joe=far.example@h.example" },
		{ "list-@h.example", "postmaster", "list-@h.example" },
		{ "", "joe@far.example", "" },
		{ "list-@h.example", "j@[192.0.2.1]", "\"list-j=[192.0.2.1]\"@h.example" },
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		uint8_t room[200];
		struct buf b = BUF_OVER(room);

		verp_put(&b, bytes_of_string(rows[i][0]), bytes_of_string(rows[i][1]));
		buf_add_octet(&b, '\0');
		assert_string_equal((const char *)room, rows[i][2]);
	}
}

static void
the_mark_is_behind_an_address_or_is_none(void **state)
{
	static const struct {
		const char *text;
		const char *without; /* null: there is no mark */
	} rows[] = { { "list-@host-@[]", "list-@host" }, { "list@host.example-@[]", "list@host.example" },
		{ "#@[]", NULL }, { "-@[]", NULL }, { "list-@[]", NULL }, { "", NULL }, { "list-@host", NULL },
		{ "a@b-@[] ", NULL } };

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		struct bytes address = bytes_of_string(rows[i].text);

		assert_int_equal(verp_take_mark(&address), rows[i].without != NULL);
		assert_true(
		    bytes_equal(address, bytes_of_string(rows[i].without != NULL ? rows[i].without : rows[i].text)));
	}
}

static void
too_little_room_makes_no_shorter_address(void **state)
{
	uint8_t room[20];
	struct buf b = BUF_OVER(room);
	static uint8_t local[4000];

	(void)state;
	verp_put(&b, BYTES("list-@host.example"), BYTES("joe@far.example"));
	assert_true(b.failed);
	memset(local, 'x', sizeof local);
	memcpy(local + sizeof local - 4, "@a.b", 4);
	b = buf_growing(10000);
	verp_put(&b, BYTES("list-@host.example"), bytes_of(local, sizeof local));
	assert_true(b.failed);
	buf_free(&b);
}

static void
expect_reverse(struct channel *session, uint64_t *ref, const char *reverse)
{
	struct wire_message m = srig_receive(session, RM_MESSAGE);
	struct bytes fields[3];

	assert_true(wire_take_all(m.tail, fields, 3));
	assert_true(bytes_equal(fields[0], bytes_of_string(reverse)));
	assert_int_equal(((const struct rm_message *)m.body)->n_recipients, 1);
	*ref = m.ref;
	wire_close_fds(&m);
	(void)srig_receive(session, RM_RECIPIENTS);
}

static void
each_recipient_has_its_own_and_a_report_goes_to_the_list(void **state)
{
	static const struct srig_recipient three[] = { { "joe@local.example", 0 }, { "a@far.example", 0 },
		{ "b@far.example", 0 } };
	struct srig_message m = srig_message(0, STORE_VERP, "list-@home.example", three, 3);
	struct channel local, session;
	struct wire_message delivery;
	struct bytes fields[4];
	uint64_t refs[2], report;

	(void)state;
	srig_start();
	announce(&m);
	session = expect_session("far.example");
	expect_reverse(&session, &refs[0], "list-a=far.example@home.example");
	expect_reverse(&session, &refs[1], "list-b=far.example@home.example");
	local = expect_spawn(2001);
	delivery = srig_receive(&local, SD_DELIVER);
	assert_true(wire_take_all(delivery.tail, fields, 4));
	assert_true(bytes_equal(fields[0], BYTES("list-joe=local.example@home.example")));
	wire_close_fds(&delivery);
	deliver_answer(&local, delivery.ref, SD_DELIVERED, "");
	expect_status(&m, 0, STORE_DELIVERED, "");
	remote_answer(&session, refs[0], RM_DELIVERED, RM_OF_RECIPIENT, false, "250 ok");
	expect_status(&m, 1, STORE_DELIVERED, "");
	remote_answer(&session, refs[1], RM_PERMANENT, RM_OF_RECIPIENT, false, "550 no");
	expect_status(&m, 2, STORE_FAILED, "5.4.4 ");
	(void)expect_report("list-@home.example", PQ_COMPLETE | PQ_BOUNCE, &report); /* as qmail does it */
	report_committed(report);
	expect_done(&m);
	channel_close(&local);
	channel_close(&session);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reverse_path_names_its_recipient),
		cmocka_unit_test(the_mark_is_behind_an_address_or_is_none),
		cmocka_unit_test(too_little_room_makes_no_shorter_address),
		cmocka_unit_test_setup_teardown(
		    each_recipient_has_its_own_and_a_report_goes_to_the_list, srig_set_up, srig_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
