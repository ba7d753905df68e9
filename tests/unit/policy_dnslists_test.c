/* What `policy` asks DNS lists, and what it makes of their answers: resolve is this test.
 * Trusts nothing of it: every answer is asserted.
 * Never leaves its private directory and its own channels. */
#include "policy_rig.h"

#include "control/dnslist.h"

#include <stdio.h>
#include <string.h>

static const uint8_t for_good[4] = { 192, 0, 2, 30 }, closed[4] = { 192, 0, 2, 31 }, looked_at[4] = { 192, 0, 2, 32 },
		     spared[4] = { 192, 0, 2, 33 }, not_asked[4] = { 192, 0, 2, 34 }, named[4] = { 192, 0, 2, 35 },
		     named_for_good[4] = { 192, 0, 2, 36 };

static int
set_up(void **state)
{
	(void)rig_set_up(state);
	rig_resolves = true;
	dir_put(&rig_dir, "peernames", "no\n");
	dir_put(&rig_dir, "rules",
	    "192.0.2.30:allow,DNSLISTS=\"b\"\n192.0.2.31:allow,DNSLISTS=\"c\"\n192.0.2.32:allow,DNSLISTS=\"i\"\n"
	    "192.0.2.33:allow,RBLSMTPD=\"\"\n192.0.2.34:allow,DNSLISTS=\"-\"\n192.0.2.35:allow,RBLSMTPD=\"go away\"\n"
	    "192.0.2.36:allow,RBLSMTPD=\"-go away\"\n192.0.2.77:allow,RELAYCLIENT=\"\"\n");
	dir_put(&rig_dir, "dnslists", "bl.example.org\nodd.example.org=127.0.0.4/30,127.0.0.9:%IP% is odd\n");
	dir_put(&rig_dir, "dnsallowlists", "wl.example.org\n");
	return 0;
}

static const struct bytes listed = { (const uint8_t *)"\177\0\0\2", 4 }, first = { (const uint8_t *)"\177\0\0\1", 4 },
			  fifth = { (const uint8_t *)"\177\0\0\5", 4 }, outside = { (const uint8_t *)"\300\0\2\1", 4 },
			  unwilling = { (const uint8_t *)"\177\377\377\376", 4 };

/* The test entries, before the first session's questions; the first list has 127.0.0.1 if `all`. */
static void
answer_tests(bool all)
{
	static const char *const zones[] = { "bl.example.org", "odd.example.org", "wl.example.org" };

	for (size_t i = 0; i < nitems(zones); i++) {
		char name[80];

		(void)snprintf(name, sizeof name, "1.0.0.127.%s", zones[i]);
		if (all && i == 0)
			resolve_says(resolve_asked(RS_A, name), RS_FOUND, first);
		else
			resolve_says(resolve_asked(RS_A, name), RS_NO_NAME, BYTES_NONE);
		(void)snprintf(name, sizeof name, "2.0.0.127.%s", zones[i]);
		resolve_says(resolve_asked(RS_A, name), RS_FOUND, listed);
	}
}

/* The questions about 192.0.2.N, with these answers; at null: the name is not there; outcome of the first only. */
static void
answer_lists(unsigned n, enum rs_outcome outcome, struct bytes bl, struct bytes odd, struct bytes wl)
{
	static const char *const zones[] = { "bl.example.org", "odd.example.org", "wl.example.org" };
	struct bytes answers[] = { bl, odd, wl };
	uint64_t refs[3];

	for (size_t i = 0; i < nitems(zones); i++) {
		char name[80];

		(void)snprintf(name, sizeof name, "%u.2.0.192.%s", n, zones[i]);
		refs[i] = resolve_asked(RS_A, name);
	}
	for (size_t i = 0; i < nitems(zones); i++)
		if (i == 0 && outcome != RS_FOUND)
			resolve_says(refs[i], outcome, BYTES_NONE);
		else
			resolve_says(refs[i], answers[i].at != NULL ? RS_FOUND : RS_NO_NAME, answers[i]);
}

static void
hear_words(struct channel *c, unsigned code, const char *words)
{
	struct wire_message m;
	struct why why = WHY_NONE;

	assert_int_equal(channel_receive(c, &rig_buffer, &m, &why), OK);
	assert_int_equal(m.type, SP_ANSWER);
	assert_int_equal(((const struct sp_answer *)m.body)->code, code);
	if (!bytes_equal(m.tail, bytes_of_string(words)))
		fail_msg("said %.*s", (int)m.tail.len, (const char *)m.tail.at);
}

static void
who_is_listed_is_refused_with_the_list_s_words(void **state)
{
	struct channel c;

	(void)state;
	rig_start();
	c = begin_mail(anybody, "a@b.example");
	answer_tests(false);
	rcpt_say(&c, "joe@local.example");
	answer_lists(5, RS_FOUND, listed, BYTES_NONE, BYTES_NONE);
	resolve_says(resolve_asked(RS_TXT, "5.2.0.192.bl.example.org"), RS_FOUND, BYTES("see https://bl.example.org"));
	hear_words(&c, 451, "your address is refused: see https://bl.example.org");
	rcpt_say(&c, "joe@local.example"); /* not asked again */
	hear_words(&c, 451, "your address is refused: see https://bl.example.org");
	channel_close(&c);
	expect_ended(0);
	c = begin_mail(for_good, "a@b.example");
	answer_lists(30, RS_FOUND, BYTES_NONE, fifth, BYTES_NONE);
	rcpt_say(&c, "joe@local.example");
	hear_words(&c, 553, "your address is refused: 192.0.2.30 is odd");
	channel_close(&c);
}

static void
who_is_not_listed_or_let_in_by_another_list_is_not_refused(void **state)
{
	static const struct {
		enum rs_outcome outcome; /* of the first list */
		bool bl, odd, wl;
		unsigned code;
	} cases[] = {
		{ RS_FOUND, false, false, false, 250 },
		{ RS_FOUND, true, false, true, 250 },
		{ RS_FAILED, false, false, false, 250 },
		{ RS_FAILED, false, true, false, 451 },
		{ RS_NO_DATA, false, false, false, 250 },
	};
	struct channel c;

	(void)state;
	rig_start();
	for (size_t i = 0; i < nitems(cases); i++) {
		c = begin_mail(anybody, "a@b.example");
		if (i == 0)
			answer_tests(false);
		answer_lists(5, cases[i].outcome, cases[i].bl ? listed : BYTES_NONE, cases[i].odd ? fifth : BYTES_NONE,
		    cases[i].wl ? listed : BYTES_NONE);
		if (cases[i].bl)
			resolve_says(resolve_asked(RS_TXT, "5.2.0.192.bl.example.org"), RS_NO_DATA, BYTES_NONE);
		rcpt(&c, "joe@local.example", cases[i].code, cases[i].code == 250 ? "2.1.5" : "4.7.1");
		channel_close(&c);
		expect_ended((uint32_t)i);
	}
}

static void
answers_that_are_none_do_not_count(void **state)
{
	const struct bytes answers[][2] = {
		{ outside, BYTES_NONE }, { unwilling, BYTES_NONE },
		{ BYTES_NONE, listed }, /* the second counts 127.0.0.4 to 7 and 9 */
	};
	struct channel c;

	(void)state;
	rig_start();
	for (size_t i = 0; i < nitems(answers); i++) {
		c = begin_mail(anybody, "a@b.example");
		if (i == 0)
			answer_tests(false);
		answer_lists(5, RS_FOUND, answers[i][0], answers[i][1], BYTES_NONE);
		rcpt(&c, "joe@local.example", 250, "2.1.5");
		channel_close(&c);
		expect_ended((uint32_t)i);
	}
}

static void
a_list_that_has_everybody_is_not_believed(void **state)
{
	struct channel c;

	(void)state;
	rig_start();
	c = begin_mail(anybody, "a@b.example");
	answer_tests(true);
	answer_lists(5, RS_FOUND, listed, BYTES_NONE, BYTES_NONE);
	resolve_says(resolve_asked(RS_TXT, "5.2.0.192.bl.example.org"), RS_NO_DATA, BYTES_NONE);
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	channel_close(&c);
	expect_ended(0);
	c = begin_mail(anybody, "a@b.example"); /* and not asked again */
	resolve_says(resolve_asked(RS_A, "5.2.0.192.odd.example.org"), RS_NO_NAME, BYTES_NONE);
	resolve_says(resolve_asked(RS_A, "5.2.0.192.wl.example.org"), RS_NO_NAME, BYTES_NONE);
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	channel_close(&c);
}

static void
a_rule_says_what_a_listing_means(void **state)
{
	struct channel c;

	(void)state;
	rig_start();
	c = begin_mail(closed, "a@b.example");
	answer_tests(false);
	answer_lists(31, RS_FAILED, BYTES_NONE, BYTES_NONE, BYTES_NONE);
	rcpt(&c, "joe@local.example", 451, "4.4.3");
	channel_close(&c);
	expect_ended(0);
	c = begin_mail(looked_at, "a@b.example");
	answer_lists(32, RS_FOUND, BYTES_NONE, fifth, BYTES_NONE);
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	channel_close(&c);
	expect_ended(1);
	c = begin_mail(spared, "a@b.example");
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	channel_close(&c);
	c = begin_mail(not_asked, "a@b.example");
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	channel_close(&c);
	c = begin_mail(relay, "a@b.example");
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	channel_close(&c);
}

static void
a_rule_may_refuse_by_itself(void **state)
{
	struct channel c;

	(void)state;
	rig_start();
	c = begin_mail(named, "a@b.example");
	rcpt_say(&c, "joe@local.example");
	hear_words(&c, 451, "your address is refused: go away");
	channel_close(&c);
	c = begin_mail(named_for_good, "a@b.example");
	rcpt_say(&c, "joe@local.example");
	hear_words(&c, 553, "your address is refused: go away");
	channel_close(&c);
}

static void
a_list_that_fails_again_and_again_is_left_alone_for_a_while(void **state)
{
	struct channel c;

	(void)state;
	rig_start();
	for (uint32_t i = 0; i < 3; i++) {
		c = begin_mail(anybody, "a@b.example");
		if (i == 0)
			answer_tests(false);
		answer_lists(5, RS_FAILED, BYTES_NONE, BYTES_NONE, BYTES_NONE);
		rcpt(&c, "joe@local.example", 250, "2.1.5");
		channel_close(&c);
		expect_ended(i);
	}
	c = begin_mail(anybody, "a@b.example");
	resolve_says(resolve_asked(RS_A, "5.2.0.192.odd.example.org"), RS_NO_NAME, BYTES_NONE);
	resolve_says(resolve_asked(RS_A, "5.2.0.192.wl.example.org"), RS_NO_NAME, BYTES_NONE);
	rcpt(&c, "joe@local.example", 250, "2.1.5");
	channel_close(&c);
}

static void
names_of_addresses_are_reversed(void **state)
{
	static const uint8_t four[4] = { 192, 0, 2, 99 },
			     six[16] = { 0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 2, 0, 3, 0, 4, 0x05, 0x67, 0x89, 0xab };
	struct dnslist l;
	struct why why = WHY_NONE;
	char name[DNSLIST_NAME_MAX];

	(void)state;
	assert_int_equal(dnslist_parse(BYTES("bl.example.org"), &l, &why), OK);
	assert_true(bytes_equal(bytes_of(name, dnslist_name(&l, four, 4, name)), BYTES("99.2.0.192.bl.example.org")));
	assert_true(bytes_equal(bytes_of(name, dnslist_name(&l, six, 16, name)),
	    BYTES("b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl.example.org")));
}

static void
peers_with_ipv6_are_asked_about_too(void **state)
{
	static const uint8_t six[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 5 };
	static const char nibbles[] = "5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2";
	static const char *const zones[] = { "bl.example.org", "odd.example.org", "wl.example.org" };
	struct channel c;

	(void)state;
	rig_start();
	c = connect_peer(six, LP_IPV6);
	expect_welcome(&c, 220, 0);
	rig_mail(&c, "client.example", "a@b.example", 0);
	answer_tests(false);
	for (size_t i = 0; i < nitems(zones); i++) {
		char name[120];

		(void)snprintf(name, sizeof name, "%s.%s", nibbles, zones[i]);
		resolve_says(resolve_asked(RS_A, name), i == 1 ? RS_FOUND : RS_NO_NAME, i == 1 ? fifth : BYTES_NONE);
	}
	rcpt_say(&c, "joe@local.example");
	hear_words(&c, 451, "your address is refused: 2001:db8::5 is odd");
	channel_close(&c);
}

static void
a_line_is_a_zone_with_answers_and_a_text(void **state)
{
	static const char *const bad[] = { "", "localhost", "bl..org", "bl.example.org=", "bl.example.org=10.0.0.1",
		"bl.example.org=127.0.0.1/33", "bl.example.org=127.0.0.0/7", "bl example.org",
		"bl.example.org=127.0.0.1,", "-" };
	struct dnslist l;
	struct why why = WHY_NONE;

	(void)state;
	for (size_t i = 0; i < nitems(bad); i++)
		assert_int_equal(dnslist_parse(bytes_of_string(bad[i]), &l, &why), MALFORMED);
	assert_int_equal(dnslist_parse(BYTES("bl.example.org=127.0.0.2, 127.0.0.8/29:a text: this"), &l, &why), OK);
	assert_int_equal(l.n_answers, 2);
	assert_true(bytes_equal(l.text, BYTES("a text: this")));
	assert_true(dnslist_counts(&l, (const uint8_t[4]){ 127, 0, 0, 15 }));
	assert_false(dnslist_counts(&l, (const uint8_t[4]){ 127, 0, 0, 16 }));
	assert_false(dnslist_counts(&l, (const uint8_t[4]){ 126, 0, 0, 2 }));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, rig_tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(who_is_listed_is_refused_with_the_list_s_words),
		TEST(who_is_not_listed_or_let_in_by_another_list_is_not_refused),
		TEST(answers_that_are_none_do_not_count),
		TEST(a_list_that_has_everybody_is_not_believed),
		TEST(a_rule_says_what_a_listing_means),
		TEST(a_rule_may_refuse_by_itself),
		TEST(a_list_that_fails_again_and_again_is_left_alone_for_a_while),
		TEST(peers_with_ipv6_are_asked_about_too),
		cmocka_unit_test(names_of_addresses_are_reversed),
		cmocka_unit_test(a_line_is_a_zone_with_answers_and_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
