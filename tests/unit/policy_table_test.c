/* Tests of the table of checks: what it says is there, and what a check needs comes before it.
 * Reads the table as policy does, with no service behind it.
 * A row that breaks a rule is named. */
#include "unit.h"

#include "control/schema.h"
#include "policy/checks.h"
#include "policy/session.h"

#include <string.h>

static void
must(bool holds, const struct check_row *row, const char *rule)
{
	if (!holds)
		fail_msg("check %s: %s", row->name, rule);
}

static bool
is_item(struct bytes name)
{
	for (size_t i = 0; i < N_CONTROL_ITEMS; i++)
		if (bytes_equal(name, bytes_of_string(control_schema[i].file)))
			return true;
	return false;
}

static void
what_switches_a_check_on_is_an_item_or_a_variable(void **state)
{
	(void)state;
	for (const struct check_row *row = check_rows; row < check_rows + N_CHECKS; row++) {
		struct bytes items = bytes_of_string(row->items), variables = bytes_of_string(row->variables), word;

		while (bytes_split(&items, ' ', &word))
			must(word.len == 0 || is_item(word), row, "an item that is not in schema.def");
		while (bytes_split(&variables, ' ', &word))
			must(word.len == 0 || variable_of_name(word) < N_VARIABLES, row,
			    "a variable that is not in variables.def");
		must(row->finding[0] != '\0', row, "finds nothing");
	}
}

static void
what_a_check_needs_is_above_it_and_begins_no_later(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N_CHECKS; i++) {
		must(check_rows[i].needs >> i == 0, &check_rows[i], "needs itself, or what comes after it");
		for (unsigned k = 0; k < i; k++)
			if (check_rows[i].needs & 1u << k)
				must(check_rows[k].runs <= check_rows[i].runs && check_works[k]->begin != NULL,
				    &check_rows[i], "needs what begins later, or what is not found out");
	}
}

static void
a_check_is_due_when_it_has_begun_and_somebody_decides_then(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N_CHECKS; i++) {
		const struct check_work *w = check_works[i];
		enum check_stage due = check_rows[i].due;

		must(check_rows[i].runs <= due, &check_rows[i], "is due before it begins");
		must(due == CHECK_AT_CONNECTION || due == CHECK_AT_RCPT || due == CHECK_AT_MESSAGE, &check_rows[i],
		    "is due where nothing is decided");
		must(w->begin != NULL || w->judge != NULL, &check_rows[i], "does nothing");
		must(due != CHECK_AT_CONNECTION || w->judge == NULL, &check_rows[i], "judges where nobody hears it");
		must(!w->on_demand || (w->begin != NULL && w->judge != NULL), &check_rows[i], "is wanted by no judge");
	}
}

/* A decision waits for what is due by then, for whom it concerns, and for nothing else. */
static void
a_decision_waits_for_what_is_due_and_concerns_the_client(void **state)
{
	static struct session s;
	struct calls c = calls_of(NULL, 4);

	(void)state;
	assert_false(checks_wait(&s, CHECK_AT_MESSAGE));
	s.pending = 1u << CHECK_spf;
	assert_false(checks_wait(&s, CHECK_AT_CONNECTION));
	assert_true(checks_wait(&s, CHECK_AT_RCPT));
	assert_true(checks_wait(&s, CHECK_AT_MESSAGE));
	s.client.relays = true;
	assert_false(checks_wait(&s, CHECK_AT_RCPT));
	s.pending = 1u << CHECK_mailbox;
	assert_true(checks_wait(&s, CHECK_AT_RCPT)); /* programs of recipients are asked for everybody */
	s.pending = 0;
	assert_int_not_equal(calls_ask(&c, &s.asking[CHECK_peername], 0, NULL, 0), 0);
	assert_true(checks_wait(&s, CHECK_AT_CONNECTION));
	checks_end(&s);
	assert_false(checks_wait(&s, CHECK_AT_MESSAGE));
	calls_close(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_switches_a_check_on_is_an_item_or_a_variable),
		cmocka_unit_test(what_a_check_needs_is_above_it_and_begins_no_later),
		cmocka_unit_test(a_check_is_due_when_it_has_begun_and_somebody_decides_then),
		cmocka_unit_test(a_decision_waits_for_what_is_due_and_concerns_the_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
