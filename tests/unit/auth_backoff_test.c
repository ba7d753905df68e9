/* How long who has failed must wait.
 * Trusts nothing: time is a number that the test makes.
 * Never sleeps. */
#include "unit.h"

#include "auth/backoff.h"

#include <stdio.h>
#include <string.h>

#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)

static struct backoff b;

static int
fresh(void **state)
{
	struct why why = WHY_NONE;

	(void)state;
	return backoff_open(&b, &why) == OK ? 0 : -1;
}

static uint64_t
account(const char *name)
{
	return backoff_account(&b, bytes_of_string(name));
}

static uint64_t
network(uint8_t a, uint8_t x, uint8_t y, uint8_t z)
{
	const uint8_t octets[] = { a, x, y, z };

	return backoff_network(&b, bytes_of(octets, sizeof octets));
}

/* n tries of one key at one moment; what the last one waits */
static uint64_t
try(enum backoff_kind kind, uint64_t key, uint64_t from, unsigned n, uint64_t now)
{
	uint64_t wait = 0;

	while (n-- > 0)
		wait = backoff_wait(&b, kind, key, from, now);
	return wait;
}

static void
some_failures_of_an_account_are_free(void **state)
{
	uint64_t alice = account("alice"), from = network(192, 0, 2, 1);

	(void)state;
	assert_int_equal(try(BACKOFF_ACCOUNT, alice, from, 5, SECOND), 0);
	assert_int_equal(try(BACKOFF_ACCOUNT, alice, from, 1, SECOND), 0);
	assert_int_equal(try(BACKOFF_ACCOUNT, alice, from, 1, SECOND), 500);
	assert_int_equal(try(BACKOFF_ACCOUNT, account("bob"), from, 1, SECOND), 0);
}

static void
pauses_double_up_to_a_bound(void **state)
{
	uint64_t alice = account("alice"), from = network(192, 0, 2, 1), now = SECOND, wait = 0;
	static const uint64_t waits[] = { 500, 1000, 2000, 4000, 8000, 10000, 10000, 10000 };

	(void)state;
	(void)try(BACKOFF_ACCOUNT, alice, from, 6, now);
	for (size_t i = 0; i < nitems(waits); i++) {
		wait = try(BACKOFF_ACCOUNT, alice, from, 1, now);
		assert_int_equal(wait, waits[i]);
		now += wait; /* its turn came, and it failed */
	}
}

static void
a_network_fails_more_often_before_it_waits(void **state)
{
	uint64_t here = network(192, 0, 2, 1);

	(void)state;
	assert_int_equal(try(BACKOFF_NETWORK, here, here, 21, SECOND), 0);
	assert_int_equal(try(BACKOFF_NETWORK, here, here, 1, SECOND), 250);
	assert_int_equal(try(BACKOFF_NETWORK, network(192, 0, 2, 254), here, 1, SECOND), 500); /* the same /24 */
	assert_int_equal(try(BACKOFF_NETWORK, network(192, 0, 3, 1), here, 1, SECOND), 0);
}

static void
many_at_once_gain_nothing_and_a_long_line_takes_no_more(void **state)
{
	uint64_t alice = account("alice"), from = network(192, 0, 2, 1), wait = 0, longest = 0;
	unsigned taken = 0, refused = 0;

	(void)state;
	for (unsigned i = 0; i < 10000; i++) {
		wait = backoff_wait(&b, BACKOFF_ACCOUNT, alice, from, SECOND);
		if (wait == BACKOFF_TOO_LONG) {
			refused++;
			continue;
		}
		taken++;
		assert_true(wait >= longest);
		longest = wait;
	}
	assert_in_range(taken, 6, 15);
	assert_int_equal(taken + refused, 10000);
	assert_in_range(longest, 10000, 20000);
	/* what was refused did not count: whoever knows the password waits no longer than for those in the line */
	wait = backoff_wait(&b, BACKOFF_ACCOUNT, alice, from, SECOND + longest + 10 * SECOND);
	assert_true(wait <= 10 * SECOND);
}

static void
who_got_in_there_before_does_not_wait(void **state)
{
	uint64_t alice = account("alice"), home = network(192, 0, 2, 1), elsewhere = network(203, 0, 113, 1);

	(void)state;
	(void)try(BACKOFF_ACCOUNT, alice, home, 1, SECOND);
	backoff_succeeded(&b, alice, home, SECOND);
	(void)try(BACKOFF_ACCOUNT, alice, elsewhere, 1000, 2 * SECOND);
	assert_int_equal(try(BACKOFF_ACCOUNT, alice, home, 1, 2 * SECOND), 0);
	assert_true(try(BACKOFF_ACCOUNT, alice, elsewhere, 1, 2 * SECOND) > 0);
}

static void
success_ends_the_accounts_line_and_takes_one_from_the_networks(void **state)
{
	uint64_t alice = account("alice"), here = network(192, 0, 2, 1);

	(void)state;
	(void)try(BACKOFF_ACCOUNT, alice, here, 8, SECOND);
	(void)try(BACKOFF_NETWORK, here, here, 22, SECOND);
	backoff_succeeded(&b, alice, here, SECOND);
	assert_int_equal(try(BACKOFF_ACCOUNT, alice, network(203, 0, 113, 1), 6, SECOND), 0);
	/* one who has an account of his own does not buy tries with it */
	assert_true(try(BACKOFF_NETWORK, here, here, 1, SECOND) > 0);
}

static void
failures_fade(void **state)
{
	uint64_t here = network(192, 0, 2, 1);

	(void)state;
	(void)try(BACKOFF_NETWORK, here, here, 60, SECOND);
	assert_true(try(BACKOFF_NETWORK, here, here, 1, SECOND) > 0);
	assert_int_equal(try(BACKOFF_NETWORK, here, here, 1, SECOND + 60 * MINUTE), 0);
	assert_int_equal(try(BACKOFF_NETWORK, here, here, 5, SECOND + 60 * MINUTE), 0);
}

static void
a_flood_of_names_does_not_wash_away_who_failed_much(void **state)
{
	uint64_t alice = account("alice"), from = network(192, 0, 2, 1), now = SECOND;
	char name[32];

	(void)state;
	(void)try(BACKOFF_ACCOUNT, alice, from, 8, now);
	for (unsigned i = 0; i < 100000; i++) {
		(void)snprintf(name, sizeof name, "guess%u", i);
		(void)backoff_wait(&b, BACKOFF_ACCOUNT, account(name), from, now + i / 1000);
	}
	assert_true(try(BACKOFF_ACCOUNT, alice, from, 1, now + 100) > 0);
}

static void
keys_are_of_any_case_and_of_the_whole_network(void **state)
{
	const uint8_t here[16] = { 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1, 1 },
		      there[16] = { 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 2 };
	uint8_t neighbour[16];
	struct backoff other;
	struct why why = WHY_NONE;

	(void)state;
	assert_true(account("Alice@Example.Test") == account("alice@example.test"));
	assert_true(account("alice") != account("alicf"));
	memcpy(neighbour, here, sizeof neighbour);
	neighbour[15] = 0xff;
	assert_true(backoff_network(&b, bytes_of(here, 16)) == backoff_network(&b, bytes_of(neighbour, 16)));
	assert_true(backoff_network(&b, bytes_of(here, 16)) != backoff_network(&b, bytes_of(there, 16)));
	assert_true(network(65, 66, 67, 1) != network(97, 98, 99, 1)); /* octets, no letters */
	assert_true(account("") != 0 && network(0, 0, 0, 0) != 0);
	assert_int_equal(backoff_open(&other, &why), OK); /* nobody can choose names that meet */
	assert_true(backoff_account(&other, BYTES("alice")) != account("alice"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(some_failures_of_an_account_are_free, fresh),
		cmocka_unit_test_setup(pauses_double_up_to_a_bound, fresh),
		cmocka_unit_test_setup(a_network_fails_more_often_before_it_waits, fresh),
		cmocka_unit_test_setup(many_at_once_gain_nothing_and_a_long_line_takes_no_more, fresh),
		cmocka_unit_test_setup(who_got_in_there_before_does_not_wait, fresh),
		cmocka_unit_test_setup(success_ends_the_accounts_line_and_takes_one_from_the_networks, fresh),
		cmocka_unit_test_setup(failures_fade, fresh),
		cmocka_unit_test_setup(a_flood_of_names_does_not_wash_away_who_failed_much, fresh),
		cmocka_unit_test_setup(keys_are_of_any_case_and_of_the_whole_network, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
