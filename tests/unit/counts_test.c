/* Tests of listen's counting: limits hold, slots come back, nothing is lost in a long run.
 * A seeded random run compares it with plain counting.
 * Uses no socket. */
#include "unit.h"

#include "listen/counts.h"

#include <stdlib.h>
#include <string.h>

static struct counts_peer
ipv4(unsigned network, unsigned host)
{
	return (struct counts_peer){ { 10, 0, (uint8_t)network, (uint8_t)host }, 4 };
}

static void
an_address_and_a_network_have_their_share(void **state)
{
	struct counts *c = counts_open(100, 2, 3);
	struct counts_peer a = ipv4(1, 1), b = ipv4(1, 2), other = ipv4(2, 1);
	const char *over = "";
	uint32_t slot[4];

	(void)state;
	assert_int_equal(counts_begin(c, &a, &slot[0], &over), OK);
	assert_int_equal(counts_begin(c, &a, &slot[1], &over), OK);
	assert_int_equal(counts_begin(c, &a, &slot[2], &over), EXHAUSTED);
	assert_string_equal(over, "address");
	assert_int_equal(counts_begin(c, &b, &slot[2], &over), OK);
	assert_int_equal(counts_begin(c, &b, &slot[3], &over), EXHAUSTED);
	assert_string_equal(over, "network");
	assert_int_equal(counts_begin(c, &other, &slot[3], &over), OK);
	assert_int_equal(counts_end(c, slot[0]), OK);
	assert_int_equal(counts_end(c, slot[0]), MALFORMED);
	assert_int_equal(counts_end(c, 100), MALFORMED);
	assert_int_equal(counts_end(c, UINT32_MAX), MALFORMED);
	assert_int_equal(counts_begin(c, &b, &slot[0], &over), OK);
	counts_free(c);
}

static void
ipv6_is_counted_by_its_64_bits(void **state)
{
	struct counts *c = counts_open(100, 10, 1);
	struct counts_peer a = { { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 1 }, 6 }, same = a, other = a;
	const char *over = "";
	uint32_t slot;

	(void)state;
	same.address[15] = 9;
	other.address[7] = 2;
	assert_int_equal(counts_begin(c, &a, &slot, &over), OK);
	assert_int_equal(counts_begin(c, &same, &slot, &over), EXHAUSTED);
	assert_int_equal(counts_begin(c, &other, &slot, &over), OK);
	counts_free(c);
}

static void
programs_of_root_count_only_in_all(void **state)
{
	struct counts *c = counts_open(3, 1, 1);
	struct counts_peer local = { { 0 }, 1 };
	const char *over = "";
	uint32_t slot;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(counts_begin(c, &local, &slot, &over), OK);
	assert_true(counts_is_full(c));
	assert_int_equal(counts_begin(c, &local, &slot, &over), AGAIN);
	counts_free(c);
}

static void
a_users_programs_get_half_of_the_room(void **state)
{
	struct counts *c = counts_open(5, 1, 1);
	struct counts_peer one = { { 1 }, 1 }, two = { { 2 }, 1 }, root = { { 0 }, 1 };
	const char *over = "";
	uint32_t slot[5], refused;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(counts_begin(c, &one, &slot[i], &over), OK);
	assert_int_equal(counts_begin(c, &one, &refused, &over), EXHAUSTED);
	assert_string_equal(over, "user");
	assert_int_equal(counts_begin(c, &two, &slot[3], &over), OK);
	assert_int_equal(counts_end(c, slot[1]), OK);
	assert_int_equal(counts_begin(c, &one, &slot[1], &over), OK);
	assert_int_equal(counts_begin(c, &root, &slot[4], &over), OK);
	assert_int_equal(counts_begin(c, &two, &refused, &over), AGAIN);
	for (int i = 0; i < 5; i++)
		assert_int_equal(counts_end(c, slot[i]), OK);
	assert_int_equal(counts_begin(c, &two, &refused, &over), OK);
	counts_free(c);
}

#define PEERS 40
static void
a_long_random_run_agrees_with_plain_counting(void **state)
{
	struct counts *c = counts_open(64, 3, 7);
	unsigned per_peer[PEERS] = { 0 }, per_network[4] = { 0 }, all = 0;
	int peer_of[64];
	const char *over = "";

	(void)state;
	memset(peer_of, -1, sizeof peer_of);
	srandom(20261123);
	for (int i = 0; i < 200000; i++) {
		unsigned p = (unsigned)random() % PEERS, s = (unsigned)random() % 64;
		struct counts_peer peer = ipv4(p % 4, p);
		uint32_t slot = 99;

		if (random() % 2 == 0) {
			enum result r = counts_begin(c, &peer, &slot, &over);
			enum result expected = all == 64                  ? AGAIN
			    : per_peer[p] == 3 || per_network[p % 4] == 7 ? EXHAUSTED
									  : OK;

			assert_int_equal(r, expected);
			if (r == OK) {
				assert_int_equal(peer_of[slot], -1);
				peer_of[slot] = (int)p;
				per_peer[p]++;
				per_network[p % 4]++;
				all++;
			}
		} else {
			assert_int_equal(counts_end(c, s), peer_of[s] < 0 ? MALFORMED : OK);
			if (peer_of[s] >= 0) {
				per_peer[peer_of[s]]--;
				per_network[peer_of[s] % 4]--;
				all--;
				peer_of[s] = -1;
			}
		}
		assert_int_equal(counts_sessions(c), all);
	}
	counts_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_and_a_network_have_their_share),
		cmocka_unit_test(ipv6_is_counted_by_its_64_bits),
		cmocka_unit_test(programs_of_root_count_only_in_all),
		cmocka_unit_test(a_users_programs_get_half_of_the_room),
		cmocka_unit_test(a_long_random_run_agrees_with_plain_counting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
