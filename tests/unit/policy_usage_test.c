/* What each user has sent within the hour.
 * Trusts nothing: time is a number that the test makes.
 * Never sleeps. */
#include "unit.h"

#include "policy/usage.h"

#include <stdio.h>
#include <string.h>

#define HOUR (UINT64_C(3600) * 1000)

static struct usage u;

static int
fresh(void **state)
{
	(void)state;
	memset(&u, 0, sizeof u);
	return 0;
}

static bool
message(const char *user, uint64_t now)
{
	return usage_take(&u, bytes_of_string(user), 1, 0, 3, 0, now);
}

static bool
recipient(const char *user, uint64_t now)
{
	return usage_take(&u, bytes_of_string(user), 0, 1, 0, 5, now);
}

static void
an_hour_has_so_many_messages(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_true(message("alice", 1000 + i));
	for (unsigned i = 0; i < 10; i++)
		assert_false(message("alice", 2000));
	assert_false(message("alice", 1000 + HOUR - 1));
	assert_true(message("alice", 1000 + HOUR)); /* of its first message */
}

static void
what_is_refused_does_not_count(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++)
		assert_true(recipient("alice", 1));
	for (unsigned i = 0; i < 100; i++)
		assert_false(recipient("alice", 1));
	for (unsigned i = 0; i < 3; i++) /* recipients and messages are two accounts */
		assert_true(message("alice", 2));
	assert_false(message("alice", 2));
}

static void
users_are_apart_and_their_case_is_not(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_true(message(i % 2 == 0 ? "Alice@Example.Test" : "alice@example.test", 1));
	assert_false(message("ALICE@example.test", 1));
	assert_true(message("alicf@example.test", 1));
	assert_true(message("alice@example.tes", 1));
	assert_true(message("", 1));
}

static void
no_limit_is_none(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100000; i++)
		assert_true(usage_take(&u, BYTES("alice"), 1, 1, 0, 0, 1));
}

static void
a_set_that_is_full_forgets_its_oldest_user(void **state)
{
	char name[32];
	unsigned n_remembered = 0;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		(void)snprintf(name, sizeof name, "user%u", i);
		for (unsigned k = 0; k < 3; k++)
			assert_true(message(name, 1000 + i));
	}
	for (unsigned i = 19000; i < 20000; i++) { /* the latest are still known */
		(void)snprintf(name, sizeof name, "user%u", i);
		n_remembered += !message(name, 21000);
	}
	assert_in_range(n_remembered, 900, 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_hour_has_so_many_messages, fresh),
		cmocka_unit_test_setup(what_is_refused_does_not_count, fresh),
		cmocka_unit_test_setup(users_are_apart_and_their_case_is_not, fresh),
		cmocka_unit_test_setup(no_limit_is_none, fresh),
		cmocka_unit_test_setup(a_set_that_is_full_forgets_its_oldest_user, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
