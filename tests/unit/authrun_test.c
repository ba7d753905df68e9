/* What authrun reads: its configuration and Dovecot's lines; and what policy learns of programs in recipients.
 * Trusts nothing of it: every answer is asserted.
 * Never leaves its private directory, never starts a program. */
#include "unit.h"

#include "authrun/dovecot_line.h"
#include "control/program.h"
#include "control/recipients.h"
#include "control_dir.h"

#include <string.h>

static void
open_for(const char *process)
{
	struct why why = WHY_NONE;

	dir_close(&control);
	control = CONTROL_NONE;
	if (dir_open(&dir, process, &control, &why) != OK)
		fail_msg("%s: %s", process, why.text);
}

static void
dovecots_lines(void **state)
{
	static const struct {
		const char *line;
		enum result r;
		enum dovecot_kind kind;
		uint32_t number;
		const char *user, *reason;
		bool temporary;
	} cases[] = {
		{ "VERSION\t1\t2", OK, DOVECOT_VERSION, 1, NULL, NULL, false },
		{ "SPID\t77", OK, DOVECOT_OTHER, 0, NULL, NULL, false },
		{ "DONE", OK, DOVECOT_DONE, 0, NULL, NULL, false },
		{ "OK\t12\tuser=a@b.test\tnologins", OK, DOVECOT_OK, 12, "a@b.test", NULL, false },
		{ "OK\t12", OK, DOVECOT_OK, 12, NULL, NULL, false },
		{ "FAIL\t1\tuser=a\treason=no such thing", OK, DOVECOT_FAIL, 1, "a", "no such thing", false },
		{ "FAIL\t1\tuser=a\ttemp", OK, DOVECOT_FAIL, 1, "a", NULL, true },
		{ "FAIL\t1\tcode=temp_fail", OK, DOVECOT_FAIL, 1, NULL, NULL, true },
		{ "FAIL\t1\ttemporary", OK, DOVECOT_FAIL, 1, NULL, NULL, false },
		{ "CONT\t3\tVGV4dA==", OK, DOVECOT_CONT, 3, NULL, NULL, false },
		{ "OKAY\t12\tuser=a", OK, DOVECOT_OTHER, 0, NULL, NULL, false },
		{ "", MALFORMED, DOVECOT_OTHER, 0, NULL, NULL, false },
		{ "OK", MALFORMED, DOVECOT_OK, 0, NULL, NULL, false },
		{ "OK\t-1", MALFORMED, DOVECOT_OK, 0, NULL, NULL, false },
		{ "OK\t4294967296", MALFORMED, DOVECOT_OK, 0, NULL, NULL, false },
		{ "VERSION", MALFORMED, DOVECOT_VERSION, 0, NULL, NULL, false },
		{ "MECH", MALFORMED, DOVECOT_MECH, 0, NULL, NULL, false },
	};
	struct dovecot_line l;

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		assert_int_equal(dovecot_cut(bytes_of_string(cases[i].line), &l), cases[i].r);
		if (cases[i].r != OK)
			continue;
		assert_int_equal(l.kind, cases[i].kind);
		assert_int_equal(l.number, cases[i].number);
		assert_int_equal(l.temporary, cases[i].temporary);
		assert_int_equal(l.user.at == NULL, cases[i].user == NULL);
		assert_true(bytes_equal(l.user, bytes_of_string(cases[i].user)));
		assert_true(bytes_equal(l.reason, bytes_of_string(cases[i].reason)));
	}
	assert_int_equal(dovecot_cut(bytes_of("OK\t1\tuser=a\0b", 13), &l), MALFORMED);
	assert_int_equal(dovecot_cut(BYTES("OK\t1\tuser=a\tnologin"), &l), OK);
	assert_true(l.shut);
	assert_int_equal(dovecot_cut(BYTES("OK\t1\tuser=nologin"), &l), OK);
	assert_false(l.shut);
	assert_int_equal(dovecot_cut(BYTES("MECH\tPLAIN\tplaintext"), &l), OK);
	assert_true(bytes_equal(l.name, BYTES("PLAIN")));
}

static void
a_line_cut_at_any_octet_names_nobody_else(void **state)
{
	struct bytes whole = BYTES("OK\t12\tuser=alice@example.test");
	struct dovecot_line l;

	(void)state;
	for (size_t n = 0; n < whole.len; n++)
		if (dovecot_cut(bytes_first(whole, n), &l) == OK && l.kind == DOVECOT_OK) {
			assert_true(l.number == 1 || l.number == 12);
			assert_true(bytes_starts(BYTES("alice@example.test"), l.user));
		}
}

static void
words_of_a_program(void **state)
{
	char *words[PROGRAM_WORDS_MAX + 1];
	uint8_t many[2 * PROGRAM_WORDS_MAX + 2];

	(void)state;
	assert_true(program_words(BYTES("/bin/a\0b\0c d\0"), words));
	assert_string_equal(words[0], "/bin/a");
	assert_string_equal(words[2], "c d");
	assert_null(words[3]);
	assert_false(program_words(BYTES_NONE, words));
	assert_false(program_words(BYTES("/bin/a"), words));
	assert_false(program_words(BYTES("bin/a\0"), words));
	for (size_t i = 0; i < sizeof many; i++)
		many[i] = i % 2 == 0 ? '/' : '\0';
	assert_true(program_words(bytes_of(many, sizeof many - 2), words));
	assert_false(program_words(bytes_of(many, sizeof many), words));
}

static void
it_has_the_programs_and_no_address(void **state)
{
	static const struct {
		struct bytes key;
	} addresses[] = { { BYTES("\0:joe@a.test") }, { BYTES(":joe@a.test") } };
	struct bytes value;

	(void)state;
	dir_put(&dir, "users/list", "joe@a.test\n");
	dir_put(&dir, "recipients", "@a.test:users/list\nB.test|true  one two\n*|/bin/false\n");
	dir_put(&dir, "checkpassword", "true   /bin/true\n");
	open_for("authrun");
	for (size_t i = 0; i < nitems(addresses); i++)
		assert_int_equal(control_find(&control, ITEM_RECIPIENTS, addresses[i].key, &value), ABSENT);
	assert_int_equal(control_find(&control, ITEM_LOCALS, BYTES("mx.example"), &value), ABSENT);
	value = recipients_program(&control, 0);
	assert_true(bytes_ends_nocase(bytes_first(value, value.len - 1), BYTES("/true\0one\0two")));
	assert_true(bytes_equal(recipients_program(&control, 1), BYTES("/bin/false\0")));
	assert_int_equal(recipients_program(&control, 2).len, 0);
	assert_true(bytes_ends_nocase(control_text(&control, ITEM_CHECKPASSWORD), BYTES("/true\0/bin/true\0")));
}

static void
a_program_is_asked_in_its_turn(void **state)
{
	struct recipients_place place = { 0 };

	(void)state;
	dir_put(&dir, "users/list", "joe@a.test\n");
	dir_put(&dir, "recipients", "@a.test:users/list\na.test|true\n@sub.a.test|true\n*|true\n!c.test\n");
	open_for("policy");
	assert_int_equal(recipients_find(&control, BYTES("joe@a.test"), &place), OK);
	place = (struct recipients_place){ 0 };
	assert_int_equal(recipients_find(&control, BYTES("ann@sub.a.test"), &place), AGAIN);
	assert_int_equal(place.program, 0);
	assert_int_equal(recipients_find(&control, BYTES("ann@sub.a.test"), &place), AGAIN);
	assert_int_equal(place.program, 1);
	assert_int_equal(recipients_find(&control, BYTES("ann@sub.a.test"), &place), AGAIN);
	assert_int_equal(place.program, 2);
	assert_int_equal(recipients_find(&control, BYTES("ann@sub.a.test"), &place), ABSENT);
	place = (struct recipients_place){ 0 };
	assert_int_equal(recipients_find(&control, BYTES("ann@c.test"), &place), AGAIN);
	assert_int_equal(place.program, 2);
	assert_int_equal(recipients_find(&control, BYTES("ann@c.test"), &place), OK);
}

static void
the_stem_of_an_address(void **state)
{
	static const struct {
		const char *address, *stem;
	} cases[] = { { "list-a=b.test@a.test", "list-@a.test" }, { "a-b-c@a.test", "a-@a.test" },
		{ "list-@a.test", NULL }, { "list@a-b.test", NULL }, { "-x@a.test", "-@a.test" }, { "list", NULL },
		{ "", NULL } };

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		uint8_t room[64];
		struct buf stem = BUF_OVER(room);

		assert_int_equal(recipients_stem(bytes_of_string(cases[i].address), &stem), cases[i].stem != NULL);
		if (cases[i].stem != NULL)
			assert_string_equal(buf_string(&stem), cases[i].stem);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dovecots_lines),
		cmocka_unit_test(a_line_cut_at_any_octet_names_nobody_else),
		cmocka_unit_test(words_of_a_program),
		cmocka_unit_test_setup_teardown(it_has_the_programs_and_no_address, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(a_program_is_asked_in_its_turn, dir_set_up, dir_tear_down),
		cmocka_unit_test(the_stem_of_an_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
