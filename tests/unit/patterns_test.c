/* Wildcards, and the lists of unwanted names.
 * Trusts lib/control only as far as it asserts.
 * Never leaves its private directory. */
#include "unit.h"

#include "control/patterns.h"
#include "control_dir.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static void
list(const char *file, const char *text)
{
	struct why why = WHY_NONE;

	dir_make(&dir);
	dir_put(&dir, file, text);
	assert_int_equal(dir_open(&dir, "policy", &control, &why), OK);
	assert_string_equal(dir.said, "");
}

static void
forget(void)
{
	dir_close(&control);
	dir_remove(&dir);
}

static const struct {
	const char *text, *pattern;
	bool fits;
} wild[] = {
	{ "", "", true },
	{ "a", "", false },
	{ "", "a", false },
	{ "abc", "abc", true },
	{ "abc", "ab", false },
	{ "ab", "abc", false },
	{ "abc", "a?c", true },
	{ "ac", "a?c", false },
	{ "", "*", true },
	{ "anything", "*", true },
	{ "anything", "***", true },
	{ "a.b.c", "*.c", true },
	{ "a.b.cc", "*.c", false },
	{ "aXbXc", "a*b*c", true },
	{ "aXbXd", "a*b*c", false },
	{ "mississippi", "m*iss*ppi", true },
	{ "mississippi", "m*iss*ssi", false },
	{ "b", "[a-c]", true },
	{ "d", "[a-c]", false },
	{ "d", "[^a-c]", true },
	{ "b", "[^a-c]", false },
	{ "", "[^a-c]", false },
	{ "]", "[]]", true },
	{ "-", "[a-]", true },
	{ "a", "[a", true }, /* never closed: what is there counts */
	{ "*", "\\*", true },
	{ "x", "\\*", false },
	{ "\\", "\\", true }, /* at the end it is itself */
	{ "user@host.example", "*@*.*", true },
	{ "userhost.example", "*@*.*", false },
	{ "A", "a", false },
};

static void
wildcards_fit_whole_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(wild); i++)
		if (wildmat(bytes_of_string(wild[i].text), bytes_of_string(wild[i].pattern)) != wild[i].fits)
			fail_msg("'%s' and '%s'", wild[i].text, wild[i].pattern);
}

static void
many_stars_take_no_exponential_time(void **state)
{
	static char text[1001], pattern[901];
	clock_t start = clock();

	(void)state;
	memset(text, 'a', sizeof text - 1);
	for (size_t i = 0; i + 1 < sizeof pattern; i += 2)
		memcpy(pattern + i, "*a", 2);
	pattern[sizeof pattern - 2] = 'b';
	assert_false(wildmat(bytes_of_string(text), bytes_of_string(pattern)));
	assert_true(clock() - start < CLOCKS_PER_SEC);
}

struct sender_case {
	const char *address, *host;
	bool relays;
	enum verdict_says says;
	char form;
};

static void
check_senders(const struct sender_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct peer_name peer = { bytes_of_string(cases[i].host), cases[i].relays };
		struct verdict v;

		assert_int_equal(pattern_check_sender(&control, bytes_of_string(cases[i].address), &peer, &v), OK);
		if (v.says != cases[i].says || (v.says != VERDICT_NONE && v.form != cases[i].form))
			fail_msg("%s from %s: %d '%c'", cases[i].address, cases[i].host, (int)v.says, v.form);
	}
}

static void
senders_are_refused_by_every_documented_form(void **state)
{
	static const struct sender_case cases[] = {
		{ "bad@x.example", NULL, false, VERDICT_BAD, ' ' },
		{ "BAD@X.example", NULL, false, VERDICT_BAD, ' ' },
		{ "good@x.example", NULL, false, VERDICT_NONE, ' ' },
		{ "any@spam.example", NULL, false, VERDICT_BAD, '@' },
		{ "any@sub.spam.example", NULL, false, VERDICT_NONE, ' ' },
		{ "friend@spam.example", NULL, false, VERDICT_EXEMPT, '?' },
		{ "me@ours.example", "h.example", false, VERDICT_BAD, '+' },
		{ "me@ours.example", "h.example", true, VERDICT_NONE, ' ' },
		{ "boss@mine.example", NULL, false, VERDICT_BAD, '+' },
		{ "x@needsname.example", NULL, false, VERDICT_BAD, '-' },
		{ "x@needsname.example", "h.example", false, VERDICT_NONE, ' ' },
		{ "x@big.example", "mail.big.example", false, VERDICT_NONE, ' ' },
		{ "x@big.example", "big.example", false, VERDICT_NONE, ' ' },
		{ "x@big.example", "notbig.example", false, VERDICT_BAD, '=' },
		{ "x@big.example", NULL, false, VERDICT_NONE, ' ' }, /* nothing is known to compare with */
		{ "x@other.example", "a.dialup.example", false, VERDICT_BAD, '~' },
		{ "x@dialup.example", "a.dialup.example", false, VERDICT_NONE, ' ' },
		{ "x@sub.dialup.example", "a.dialup.example", false, VERDICT_NONE, ' ' },
		{ "123@digits.example", NULL, false, VERDICT_BAD, '*' },
		{ "1234@digits.example", NULL, false, VERDICT_NONE, ' ' },
		{ "777@digits.example", NULL, false, VERDICT_NONE, ' ' },
		{ "888@DIGITS.example", NULL, false, VERDICT_BAD, '*' },
		{ "", NULL, false, VERDICT_NONE, ' ' },
	};

	(void)state;
	list("badmailfrom",
	    "bad@x.example\n@spam.example\n?friend@spam.example\n@ours.example+\nboss@mine.example+\n"
	    "@needsname.example-\n@big.example=\n~dialup.example\n[0-9]??@digits.example\n!777@digits.example\n");
	check_senders(cases, nitems(cases));
	forget();
}

static void
of_wildcards_the_last_that_fits_decides(void **state)
{
	struct verdict v;

	(void)state;
	list("badrcptto", "*\n!*@ours.example\nnobody@ours.example\nx*@ours.example\n");
	assert_int_equal(pattern_check_recipient(&control, BYTES("a@ours.example"), &v), OK);
	assert_int_equal(v.says, VERDICT_NONE);
	assert_int_equal(pattern_check_recipient(&control, BYTES("xa@ours.example"), &v), OK);
	assert_int_equal(v.says, VERDICT_BAD);
	assert_int_equal(pattern_check_recipient(&control, BYTES("Nobody@Ours.Example"), &v), OK);
	assert_int_equal(v.says, VERDICT_BAD);
	assert_int_equal(pattern_check_recipient(&control, BYTES("a@elsewhere.example"), &v), OK);
	assert_int_equal(v.says, VERDICT_BAD);
	forget();
}

static void
helo_names_can_be_exempt(void **state)
{
	struct verdict v;

	(void)state;
	list("badhelo", "localhost\n*.dsl.example\nfine.dsl.example!\n!*.biz.dsl.example\n");
	assert_int_equal(pattern_check_helo(&control, BYTES("LOCALHOST"), &v), OK);
	assert_int_equal(v.says, VERDICT_BAD);
	assert_int_equal(pattern_check_helo(&control, BYTES("fine.dsl.example"), &v), OK);
	assert_int_equal(v.says, VERDICT_EXEMPT);
	assert_int_equal(pattern_check_helo(&control, BYTES("a.DSL.example"), &v), OK);
	assert_int_equal(v.says, VERDICT_BAD);
	assert_int_equal(pattern_check_helo(&control, BYTES("a.biz.dsl.example"), &v), OK);
	assert_int_equal(v.says, VERDICT_NONE);
	assert_int_equal(pattern_check_helo(&control, BYTES(""), &v), OK);
	assert_int_equal(v.says, VERDICT_NONE);
	forget();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wildcards_fit_whole_texts),
		cmocka_unit_test(many_stars_take_no_exponential_time),
		cmocka_unit_test(senders_are_refused_by_every_documented_form),
		cmocka_unit_test(of_wildcards_the_last_that_fits_decides),
		cmocka_unit_test(helo_names_can_be_exempt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
