/* Tests of daemons/lspawn: what it would start, and what no asker can make it start. */
#include "unit.h"

#include "control/users.h"
#include "control_dir.h"
#include "net/spawn_judge.h"

#include <string.h>

static struct user_bounds bounds = {
	.min_uid = 1000, .min_gid = 100, .own_ids = { 2001 }, .own_gids = { 2002 }, .n_own = 1
};

static int
set_up(void **state)
{
	(void)dir_set_up(state);
	dir_put(&dir, "users/assign",
	    "=joe:joe:1001:1002:/home/joe:::\n+joe-:joe:1001:1002:/home/joe:-::\n=low:low:89:1000:/home/low:::\n"
	    "=disk:disk:1001:6:/home/disk:::\n=own:own:2001:1002:/home/own:::\n=group:group:1001:2002:/home/own:::\n"
	    "=rootgroup:rootgroup:1001:0:/home/own:::\n.\n");
	dir_put(&dir, "virtualuser", "5000:5001:/var/vmail\n");
	dir_put(&dir, "virtualusers", "ann@box.example:ann\n");
	dir_open_as("send");
	return 0;
}

static enum result
judged(const char *key, size_t len, const char *value, size_t value_len, struct user_row *row)
{
	struct why why = WHY_NONE;
	enum result r = judge_row(&control.users, &bounds, bytes_of(key, len), bytes_of(value, value_len), row, &why);

	assert_int_equal(why.text[0] == '\0', r == OK);
	return r;
}

#define JUDGED(key, value) judged(key, sizeof(key) - 1, value, sizeof(value) - 1, &row)

static void
a_row_of_the_table_is_started_with_the_tables_ids(void **state)
{
	struct user_row row;

	(void)state;
	assert_int_equal(JUDGED("!joe\0", "joe\0001001\0001002\0/home/joe\0\0\0000\0"), OK);
	assert_int_equal(row.uid, 1001);
	assert_int_equal(row.gid, 1002);
	assert_true(bytes_equal(row.home, BYTES("/home/joe")));
	assert_int_equal(JUDGED("!joe-", "joe\0001001\0001002\0/home/joe\0-\0\0000\0"), OK);
	assert_int_equal(JUDGED("@", "virtual\0005000\0005001\0/var/vmail\0\0\0000\0"), OK);
	assert_int_equal(row.uid, 5000);
}

/* What was possible: uid 30000, gid 6, home /dev. */
static void
no_asker_chooses_uid_gid_or_home(void **state)
{
	struct user_row row;

	(void)state;
	assert_int_equal(JUDGED("!joe\0", "joe\00030000\0006\0/dev\0\0\0000\0"), ABSENT);
	assert_int_equal(JUDGED("!joe\0", "joe\0001001\0001002\0/dev\0\0\0000\0"), ABSENT);
	assert_int_equal(JUDGED("!joe\0", "joe\0001001\0006\0/home/joe\0\0\0000\0"), ABSENT);
	assert_int_equal(JUDGED("!joe\0", ""), ABSENT);
	assert_int_equal(JUDGED("!jack\0", "jack\00030000\00030000\0/dev\0\0\0000\0"), ABSENT);
	assert_int_equal(JUDGED("", ""), ABSENT);
	assert_int_equal(JUDGED("#", USERS_VERSION), BROKEN);
}

static void
what_the_rule_refuses_is_not_started_though_it_is_a_row(void **state)
{
	static const char *const locals[] = { "low", "disk", "own", "group", "rootgroup" };
	struct user u;

	(void)state;
	for (size_t i = 0; i < nitems(locals); i++) {
		enum result r = users_find(&control, bytes_of_string(locals[i]), &u);
		struct user_row row;
		struct why why = WHY_NONE;

		assert_true(r == OK || r == REFUSED);
		assert_int_equal(judge_row(&control.users, &bounds, u.key, u.row, &row, &why), REFUSED);
		assert_true(why.text[0] != '\0');
	}
}

static void
a_maildir_is_a_relative_path(void **state)
{
	struct why why = WHY_NONE;

	(void)state;
	assert_int_equal(judge_maildir(BYTES("./Maildir/"), &why), OK);
	assert_int_equal(judge_maildir(BYTES("/etc"), &why), REFUSED);
	assert_int_equal(judge_maildir(BYTES(""), &why), REFUSED);
	assert_int_equal(judge_maildir(BYTES("a\0b"), &why), REFUSED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_row_of_the_table_is_started_with_the_tables_ids),
		cmocka_unit_test(no_asker_chooses_uid_gid_or_home),
		cmocka_unit_test(what_the_rule_refuses_is_not_started_though_it_is_a_row),
		cmocka_unit_test(a_maildir_is_a_relative_path),
	};

	return cmocka_run_group_tests(tests, set_up, dir_tear_down);
}
