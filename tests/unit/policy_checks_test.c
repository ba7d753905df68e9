/* What `policy` asks resolve about a sender and a HELO name, and how it holds back those who guess: resolve is this test.
 * Trusts nothing of it: every answer is asserted.
 * Never leaves its private directory and its own channels. */
#include "policy_rig.h"

#include "sys/clock.h"

#include <string.h>
#include <unistd.h>

static const uint8_t asks_sender[4] = { 192, 0, 2, 10 }, asks_helo_a[4] = { 192, 0, 2, 11 },
		     asks_helo_m[4] = { 192, 0, 2, 12 }, trapped[4] = { 192, 0, 2, 13 },
		     notorious[4] = { 192, 0, 2, 14 }, waits[4] = { 192, 0, 2, 15 }, own[4] = { 192, 0, 2, 20 },
		     ruled[4] = { 192, 0, 2, 21 }, fixed[4] = { 192, 0, 2, 22 }, nobody[4] = { 192, 0, 2, 23 };

static int
set_up(void **state)
{
	(void)rig_set_up(state);
	rig_resolves = true;
	dir_put(&rig_dir, "peernames", "no\n");
	dir_put(&rig_dir, "badmailfrom", "?friend@gone.example\n");
	dir_put(&rig_dir, "rules",
	    "192.0.2.10:allow,MFDNSCHECK=\"\"\n192.0.2.11:allow,HELOCHECK=\"A\"\n192.0.2.12:allow,HELOCHECK=\"M\"\n"
	    "192.0.2.13:allow,TARPITCOUNT=\"2\",TARPITDELAY=\"1\"\n"
	    "192.0.2.14:allow,TARPITCOUNT=\"2\",TARPITDELAY=\"999\"\n192.0.2.15:allow,GREETDELAY=\"3\"\n"
	    "192.0.2.20:allow,RELAYCLIENT=\"\",LOCALMFCHECK=\"\"\n"
	    "192.0.2.21-22:allow,RELAYCLIENT=\"\",LOCALMFCHECK=\"!\"\n"
	    "192.0.2.22:allow,RELAYCLIENT=\"\",LOCALMFCHECK=\"office.example\"\n"
	    "192.0.2.23:allow,RELAYCLIENT=\"\",LOCALMFCHECK=\"=\"\n");
	dir_put(&rig_dir, "mailfromrules", "192.0.2.21&joe@local.example,@team.example,dept.example\n");
	return 0;
}

static const struct bytes mx = { (const uint8_t *)"\0\nmx.b.example", 14 }, null_mx = { (const uint8_t *)"\0\0", 2 };

static void
a_sender_must_exist(void **state)
{
	static const struct {
		enum rs_outcome outcome;
		bool null;
		unsigned code;
		const char *enhanced;
	} cases[] = {
		{ RS_FOUND, false, 250, "2.1.5" },
		{ RS_FOUND, true, 550, "5.7.27" },
		{ RS_NO_NAME, false, 553, "5.1.8" },
		{ RS_FAILED, false, 451, "4.4.3" },
		{ RS_BOGUS, false, 451, "4.4.3" },
	};

	(void)state;
	rig_start();
	for (size_t i = 0; i < nitems(cases); i++) {
		struct channel c = begin_mail(asks_sender, "a@b.example");

		rcpt_say(&c, "joe@local.example");
		resolve_says(resolve_asked(RS_MX, "b.example"), cases[i].outcome,
		    cases[i].outcome != RS_FOUND ? BYTES_NONE
			: cases[i].null          ? null_mx
						 : mx);
		rcpt_hear(&c, cases[i].code, cases[i].enhanced);
		if (cases[i].code == 250)
			rcpt(&c, "many-x@local.example", 250, "2.1.5"); /* the sender is known by now */
		channel_close(&c);
		expect_ended((uint32_t)i);
	}
}

static void
without_an_mx_the_domain_s_addresses_count(void **state)
{
	static const struct {
		enum rs_outcome a, aaaa;
		unsigned code;
		const char *enhanced;
	} cases[] = {
		{ RS_FOUND, RS_NO_DATA, 250, "2.1.5" },
		{ RS_NO_DATA, RS_FOUND, 250, "2.1.5" },
		{ RS_FAILED, RS_FOUND, 250, "2.1.5" },
		{ RS_NO_DATA, RS_NO_DATA, 553, "5.1.8" },
		{ RS_NO_DATA, RS_FAILED, 451, "4.4.3" },
	};

	(void)state;
	rig_start();
	for (size_t i = 0; i < nitems(cases); i++) {
		struct channel c = begin_mail(asks_sender, "a@b.example");
		uint64_t a, aaaa;

		rcpt_say(&c, "joe@local.example");
		resolve_says(resolve_asked(RS_MX, "b.example"), RS_NO_DATA, BYTES_NONE);
		a = resolve_asked(RS_A, "b.example");
		aaaa = resolve_asked(RS_AAAA, "b.example");
		resolve_says(aaaa, cases[i].aaaa, BYTES_NONE);
		resolve_says(a, cases[i].a, BYTES_NONE);
		rcpt_hear(&c, cases[i].code, cases[i].enhanced);
		channel_close(&c);
		expect_ended((uint32_t)i);
	}
}

static void
some_senders_are_not_asked_about(void **state)
{
	static const char *const senders[] = { "", "a@[192.0.2.9]", "friend@gone.example" };

	(void)state;
	rig_start();
	for (size_t i = 0; i < nitems(senders); i++) {
		struct channel c = begin_mail(asks_sender, senders[i]);

		rcpt(&c, "joe@local.example", 250, "2.1.5");
		channel_close(&c);
		expect_ended((uint32_t)i);
	}
}

static void
a_silent_name_server_holds_up_one_session_only(void **state)
{
	struct channel slow, other;

	(void)state;
	rig_start();
	slow = begin_mail(asks_sender, "a@b.example");
	rcpt_say(&slow, "joe@local.example");
	(void)resolve_asked(RS_MX, "b.example");
	other = begin_mail(anybody, "a@b.example");
	rcpt(&other, "joe@local.example", 250, "2.1.5");
	channel_close(&resolve_end); /* now it is gone */
	rcpt_hear(&slow, 451, "4.4.3");
	channel_close(&slow);
	channel_close(&other);
}

static void
an_answer_that_comes_too_late_is_nobody_s(void **state)
{
	struct channel c;
	uint64_t late;

	(void)state;
	rig_start();
	c = begin_mail(asks_sender, "a@b.example");
	rcpt_say(&c, "joe@local.example");
	late = resolve_asked(RS_MX, "b.example");
	channel_close(&c);
	expect_ended(0);
	c = begin_mail(asks_sender, "a@c.example"); /* in the same place */
	rcpt_say(&c, "joe@local.example");
	resolve_says(late, RS_NO_NAME, BYTES_NONE);
	resolve_says(resolve_asked(RS_MX, "c.example"), RS_FOUND, mx);
	rcpt_hear(&c, 250, "2.1.5");
	channel_close(&c);
}

/* A name server that takes its time must not answer for whoever has the slot by then, however many had it in between. */
static void
a_very_late_answer_is_nobody_s_and_keeps_nobody_from_asking(void **state)
{
	struct channel c = { .fd = -1 };
	uint64_t late, now;
	uint32_t slot = 0;

	(void)state;
	rig_start();
	c = begin_mail(asks_sender, "a@b.example");
	rcpt_say(&c, "joe@local.example");
	late = resolve_asked(RS_MX, "b.example");
	channel_close(&c);
	expect_ended(slot++);
	for (unsigned i = 0; i < 600; i++) { /* more than a reference once had turns */
		c = rig_begin(anybody);
		channel_close(&c);
		expect_ended(slot++);
	}
	c = begin_mail(asks_sender, "a@c.example");
	rcpt_say(&c, "joe@local.example");
	now = resolve_asked(RS_MX, "c.example");
	assert_int_not_equal(now, late);
	resolve_says(late, RS_NO_NAME, BYTES_NONE);
	resolve_says(now, RS_FOUND, mx);
	rcpt_hear(&c, 250, "2.1.5");
	channel_close(&c);
}

static void
what_a_session_says_while_it_has_to_wait_ends_it(void **state)
{
	struct channel c;

	(void)state;
	rig_start();
	c = begin_mail(asks_sender, "a@b.example");
	rcpt_say(&c, "joe@local.example");
	(void)resolve_asked(RS_MX, "b.example");
	rig_say(&c, SP_RESET, NULL, BYTES_NONE);
	expect_ended(0);
	channel_close(&c);
}

static void
a_helo_name_must_exist(void **state)
{
	struct channel c;
	uint64_t a;

	(void)state;
	rig_start();
	c = begin_mail(asks_helo_a, "a@b.example");
	rcpt_say(&c, "joe@local.example");
	a = resolve_asked(RS_A, "client.example");
	resolve_says(resolve_asked(RS_AAAA, "client.example"), RS_NO_NAME, BYTES_NONE);
	resolve_says(a, RS_NO_NAME, BYTES_NONE);
	rcpt_hear(&c, 550, "5.7.1");
	rcpt_say(&c, "joe@local.example");
	a = resolve_asked(RS_A, "client.example");
	resolve_says(resolve_asked(RS_AAAA, "client.example"), RS_NO_DATA, BYTES_NONE);
	resolve_says(a, RS_FOUND, BYTES("\300\0\2\1"));
	rcpt_hear(&c, 250, "2.1.5");
	channel_close(&c);
	expect_ended(0);
	c = begin_mail(asks_helo_m, "a@b.example");
	rcpt_say(&c, "joe@local.example");
	resolve_says(resolve_asked(RS_MX, "client.example"), RS_FAILED, BYTES_NONE);
	rcpt_hear(&c, 451, "4.4.3");
	rcpt_say(&c, "joe@local.example");
	resolve_says(resolve_asked(RS_MX, "client.example"), RS_NO_DATA, BYTES_NONE);
	rcpt_hear(&c, 550, "5.7.1");
	rig_mail(&c, "[192.0.2.12]", "a@b.example", 0); /* a literal is no name */
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	channel_close(&c);
}

static void
who_guesses_is_held_back_and_others_are_not(void **state)
{
	struct channel c, other;
	uint64_t began;

	(void)state;
	rig_start();
	c = begin_mail(trapped, "a@b.example");
	rcpt(&c, "one@local.example", 550, "5.1.1");
	began = clock_ms();
	rcpt_say(&c, "two@local.example");
	other = begin_mail(anybody, "a@b.example");
	rcpt(&other, "joe@local.example", 250, "2.1.5");
	rcpt_hear(&c, 550, "5.1.1");
	assert_true(clock_ms() - began >= 990);
	rcpt(&c, "joe@local.example", 452, "4.5.3"); /* at once, whoever it is */
	channel_close(&c);
	channel_close(&other);
}

static void
a_session_may_end_in_the_tarpit(void **state)
{
	struct channel c;

	(void)state;
	rig_start();
	c = begin_mail(trapped, "a@b.example");
	rcpt(&c, "one@local.example", 550, "5.1.1");
	rcpt_say(&c, "two@local.example");
	channel_close(&c);
	expect_ended(0);
	c = begin_mail(anybody, "a@b.example"); /* in the same place */
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	(void)usleep(1200000);
	rcpt(&c, "many-x@local.example", 250, "2.1.5");
	channel_close(&c);
}

static void
who_is_notorious_sends_nothing(void **state)
{
	struct channel c;

	(void)state;
	rig_start();
	c = begin_mail(notorious, "a@b.example");
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	rcpt(&c, "one@local.example", 550, "5.1.1");
	rcpt(&c, "two@local.example", 550, "5.1.1");
	rig_say(&c, SP_DATA, NULL, BYTES_NONE);
	expect_answer(&c, 503, "5.7.1");
	channel_close(&c);
}

static void
the_greeting_is_held_back_and_who_speaks_before_is_refused(void **state)
{
	struct wire_message m;
	struct why why = WHY_NONE;
	struct channel c;

	(void)state;
	rig_start();
	c = connect_peer(waits, LP_IPV4);
	assert_int_equal(channel_receive(&c, &rig_buffer, &m, &why), OK);
	assert_int_equal(((const struct sp_welcome *)m.body)->greet_seconds, 3);
	rig_say(&c, SP_EARLY, NULL, BYTES_NONE);
	expect_answer(&c, 554, "5.5.0");
	channel_close(&c);
}

static void
who_relays_sends_as_its_own_only(void **state)
{
	static const struct {
		const uint8_t *client;
		const char *sender;
		unsigned code;
	} cases[] = {
		{ own, "joe@local.example", 250 },
		{ own, "", 250 },
		{ own, "joe@elsewhere.example", 553 },
		{ ruled, "joe@local.example", 250 },
		{ ruled, "JOE@local.example", 250 },
		{ ruled, "mojoe@local.example", 553 },
		{ ruled, "any@team.example", 250 },
		{ ruled, "any@x.team.example", 553 },
		{ ruled, "any@dept.example", 250 },
		{ ruled, "any@x.dept.example", 250 },
		{ ruled, "any@notdept.example", 553 },
		{ fixed, "any@office.example", 553 }, /* its first rule has it as 21, without an entry */
		{ nobody, "joe@local.example", 553 },
	};

	(void)state;
	rig_start();
	for (size_t i = 0; i < nitems(cases); i++) {
		struct channel c = begin_mail(cases[i].client, cases[i].sender);

		rcpt(&c, "x@elsewhere.example", cases[i].code, cases[i].code == 250 ? "2.1.5" : "5.7.1");
		channel_close(&c);
		expect_ended((uint32_t)i);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, rig_tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_sender_must_exist),
		TEST(without_an_mx_the_domain_s_addresses_count),
		TEST(some_senders_are_not_asked_about),
		TEST(a_silent_name_server_holds_up_one_session_only),
		TEST(an_answer_that_comes_too_late_is_nobody_s),
		TEST(a_very_late_answer_is_nobody_s_and_keeps_nobody_from_asking),
		TEST(what_a_session_says_while_it_has_to_wait_ends_it),
		TEST(a_helo_name_must_exist),
		TEST(who_guesses_is_held_back_and_others_are_not),
		TEST(a_session_may_end_in_the_tarpit),
		TEST(who_is_notorious_sends_nothing),
		TEST(the_greeting_is_held_back_and_who_speaks_before_is_refused),
		TEST(who_relays_sends_as_its_own_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
