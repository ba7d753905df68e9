/* What `policy` makes of senders' SPF records: resolve is this test.
 * Trusts nothing of it: every answer is asserted.
 * Never leaves its private directory and its own channels. */
#include "policy_rig.h"

#include <stdio.h>
#include <string.h>

static const uint8_t levels[7][4] = { { 192, 0, 2, 40 }, { 192, 0, 2, 41 }, { 192, 0, 2, 42 }, { 192, 0, 2, 43 },
	{ 192, 0, 2, 44 }, { 192, 0, 2, 45 }, { 192, 0, 2, 46 } };

static int
set_up(void **state)
{
	char rules[600];
	size_t n = 0;

	(void)rig_set_up(state);
	rig_resolves = true;
	dir_put(&rig_dir, "peernames", "no\n");
	dir_put(&rig_dir, "concurrencyincoming", "4\n");
	dir_put(&rig_dir, "spfexplain", "%{i} may not, says %{o}\n");
	for (unsigned level = 0; level <= 6; level++)
		n += (size_t)snprintf(rules + n, sizeof rules - n, "192.0.2.4%u:allow,SPF=\"%u\"\n", level, level);
	(void)snprintf(rules + n, sizeof rules - n, "192.0.2.77:allow,RELAYCLIENT=\"\",SPF=\"6\"\n");
	dir_put(&rig_dir, "rules", rules);
	return 0;
}

/* One recipient of a sender with this record (at null: none; "!" fails) from the peer of that level. */
static void
try_level(unsigned level, const char *record, unsigned code, const char *enhanced)
{
	struct channel c = begin_mail(levels[level], "a@b.example");

	rcpt_say(&c, "joe@local.example");
	if (record == NULL)
		resolve_says(resolve_asked(RS_TXT, "b.example"), RS_NO_DATA, BYTES_NONE);
	else if (strcmp(record, "!") == 0)
		resolve_says(resolve_asked(RS_TXT, "b.example"), RS_FAILED, BYTES_NONE);
	else
		resolve_says(resolve_asked(RS_TXT, "b.example"), RS_FOUND, bytes_of_string(record));
	rcpt_hear(&c, code, enhanced);
	channel_close(&c);
}

static void
the_level_says_what_is_refused(void **state)
{
	static const struct {
		const char *record;
		unsigned from; /* the least level that refuses */
		unsigned code;
		const char *enhanced;
	} cases[] = {
		{ "v=spf1 all", 7, 0, "" },
		{ "v=spf1 -all", 3, 550, "5.7.23" },
		{ "v=spf1 ~all", 4, 550, "5.7.23" },
		{ "v=spf1 ?all", 5, 550, "5.7.23" },
		{ NULL, 6, 550, "5.7.23" },
		{ "v=spf1 nonsense", 6, 550, "5.7.24" },
		{ "!", 2, 451, "4.7.24" },
	};

	(void)state;
	rig_start();
	for (size_t i = 0; i < nitems(cases); i++)
		for (unsigned level = 1; level <= 6; level++)
			if (level < cases[i].from)
				try_level(level, cases[i].record, 250, "2.1.5");
			else
				try_level(level, cases[i].record, cases[i].code, cases[i].enhanced);
}

static void
level_0_and_who_relays_are_not_asked_about(void **state)
{
	struct channel c;

	(void)state;
	rig_start();
	c = begin_mail(levels[0], "a@b.example");
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	channel_close(&c);
	c = begin_mail(relay, "a@b.example");
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	channel_close(&c);
}

static void
the_helo_name_stands_for_a_null_sender(void **state)
{
	struct channel c;
	struct wire_message m;
	struct why why = WHY_NONE;

	(void)state;
	rig_start();
	c = begin_mail(levels[3], "");
	rcpt_say(&c, "joe@local.example");
	resolve_says(resolve_asked(RS_TXT, "client.example"), RS_FOUND, BYTES("v=spf1 -all"));
	assert_int_equal(channel_receive(&c, &rig_buffer, &m, &why), OK);
	assert_true(bytes_equal(m.tail,
	    BYTES("sorry, the sender's domain does not let you send (SPF): 192.0.2.43 may not, says client.example")));
	channel_close(&c);
}

static void
several_names_are_asked_at_a_time(void **state)
{
	struct channel c;
	uint64_t refs[10];
	uint8_t mx[10][20];
	struct rs_answer a = { .outcome = RS_FOUND, .n = 10 };
	uint8_t room[600];
	struct buf tail = BUF_OVER(room);
	struct why why = WHY_NONE;
	char name[20];

	(void)state;
	rig_start();
	c = begin_mail(levels[3], "a@b.example");
	rcpt_say(&c, "joe@local.example");
	resolve_says(resolve_asked(RS_TXT, "b.example"), RS_FOUND, BYTES("v=spf1 mx -all"));
	refs[0] = resolve_asked(RS_MX, "b.example");
	wire_put_string(&tail, "");
	for (unsigned i = 0; i < 10; i++) {
		int n = snprintf((char *)mx[i], sizeof mx[i], "%c%cm%u.b.example", 'x', 'y', i);

		wire_put(&tail, bytes_of(mx[i], (size_t)n));
	}
	assert_int_equal(channel_send(&resolve_end, RS_ANSWER, refs[0], &a, buf_bytes(&tail), NULL, &why), OK);
	for (unsigned i = 0; i < 10; i++) { /* eight, and then one for each answer */
		(void)snprintf(name, sizeof name, "m%u.b.example", i);
		refs[i] = resolve_asked(RS_A, name);
		if (i >= 7)
			resolve_says(refs[i - 7], RS_FOUND, i == 9 ? BYTES("\300\0\2\53") : BYTES("\300\0\2\1"));
	}
	for (unsigned i = 3; i < 10; i++)
		resolve_says(refs[i], RS_FOUND, BYTES("\300\0\2\1"));
	rcpt_hear(&c, 250, "2.1.5");
	channel_close(&c);
}

static void
a_session_may_end_while_it_is_checked(void **state)
{
	struct channel c;
	uint64_t late;

	(void)state;
	rig_start();
	c = begin_mail(levels[3], "a@b.example");
	rcpt_say(&c, "joe@local.example");
	resolve_says(resolve_asked(RS_TXT, "b.example"), RS_FOUND, BYTES("v=spf1 a -all"));
	late = resolve_asked(RS_A, "b.example");
	channel_close(&c);
	expect_ended(0);
	resolve_says(late, RS_FOUND, BYTES("\300\0\2\53"));
	try_level(3, "v=spf1 -all", 550, "5.7.23");
}

static void
when_resolve_goes_away_the_check_has_failed(void **state)
{
	struct channel c;

	(void)state;
	rig_start();
	c = begin_mail(levels[2], "a@b.example");
	rcpt_say(&c, "joe@local.example");
	(void)resolve_asked(RS_TXT, "b.example");
	channel_close(&resolve_end);
	rcpt_hear(&c, 451, "4.7.24");
	channel_close(&c);
}

static void
what_was_found_is_told_in_the_message(void **state)
{
	static const char want[] =
	    "Received-SPF: pass receiver=mx.example.org; client-ip=192.0.2.41; identity=mailfrom;\r\n"
	    "\tenvelope-from=\"a@b.example\";\r\n\thelo=\"client.example\";\r\nReceived: from client";
	struct wire_message m;
	struct bytes fields[8];
	struct channel c;

	(void)state;
	rig_start();
	c = begin_mail(levels[1], "a@b.example");
	rcpt_say(&c, "joe@local.example");
	resolve_says(resolve_asked(RS_TXT, "b.example"), RS_FOUND, BYTES("v=spf1 ip4:192.0.2.0/24 -all"));
	rcpt_hear(&c, 250, "2.1.5");
	rig_say(&c, SP_DATA, NULL, BYTES_NONE);
	take_door();
	m = queue_receives(PQ_OPEN);
	assert_true(wire_take_all(m.tail, fields, 8));
	assert_true(bytes_starts(fields[2], BYTES(want)));
	channel_close(&c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, rig_tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(the_level_says_what_is_refused),
		TEST(level_0_and_who_relays_are_not_asked_about),
		TEST(the_helo_name_stands_for_a_null_sender),
		TEST(several_names_are_asked_at_a_time),
		TEST(a_session_may_end_while_it_is_checked),
		TEST(when_resolve_goes_away_the_check_has_failed),
		TEST(what_was_found_is_told_in_the_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
