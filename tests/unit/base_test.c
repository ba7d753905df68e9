/* Tests of lib/base: views, buffers, numbers, ids, results.
 * Edges of sizes above all: nothing wraps, nothing is cut silently.
 * Uses no file and no other layer. */
#include "unit.h"

#include "base/buf.h"
#include "base/bytes.h"
#include "base/id.h"
#include "base/notify.h"
#include "base/secret.h"

#include <string.h>

static void
numbers_are_taken_whole_or_not_at_all(void **state)
{
	static const struct {
		const char *text;
		uint64_t max, n;
		bool good;
	} table[] = {
		{ "0", 10, 0, true },
		{ "10", 10, 10, true },
		{ "11", 10, 0, false },
		{ "", 10, 0, false },
		{ "-1", 10, 0, false },
		{ "0x10", 100, 0, false },
		{ " 1", 10, 0, false },
		{ "1 ", 10, 0, false },
		{ "+1", 10, 0, false },
		{ "2147483648", UINT64_MAX, 2147483648u, true },
		{ "4294967296", UINT64_MAX, 4294967296u, true },
		{ "18446744073709551615", UINT64_MAX, UINT64_MAX, true },
		{ "18446744073709551616", UINT64_MAX, 0, false },
		{ "99999999999999999999", UINT64_MAX, 0, false },
		{ "000000000000000000000000001", 10, 1, true },
	};

	(void)state;
	for (size_t i = 0; i < nitems(table); i++) {
		uint64_t n = 0;

		assert_int_equal(bytes_to_number(bytes_of_string(table[i].text), table[i].max, &n), table[i].good);
		assert_int_equal(n, table[i].n);
	}
}

static void
splitting_gives_every_piece_once(void **state)
{
	struct bytes rest = BYTES("a,,b,"), piece;
	const char *expected[] = { "a", "", "b", "" };
	size_t n = 0;

	(void)state;
	while (bytes_split(&rest, ',', &piece))
		assert_true(bytes_equal(piece, bytes_of_string(expected[n++])));
	assert_int_equal(n, 4);
}

static void
views_never_reach_past_their_end(void **state)
{
	struct bytes a = BYTES("abc");

	(void)state;
	assert_int_equal(bytes_first(a, SIZE_MAX).len, 3);
	assert_int_equal(bytes_skip(a, SIZE_MAX).len, 0);
	assert_int_equal(bytes_skip(BYTES_NONE, 5).len, 0);
	assert_int_equal(bytes_find(a, 'x'), 3);
	assert_int_equal(bytes_find_last(BYTES("abab"), 'a'), 2);
	assert_true(bytes_equal(bytes_trim(BYTES(" \t ")), BYTES("")));
	assert_false(bytes_ends_nocase(BYTES("b"), BYTES("ab")));
	assert_true(bytes_equal_nocase(BYTES("AbC"), BYTES("aBc")));
	assert_true(bytes_compare(BYTES("a"), BYTES("ab")) < 0);
	assert_false(bytes_equal_constant_time(BYTES("abc"), BYTES("abd")));
	assert_false(bytes_equal_constant_time(BYTES("abc"), BYTES("ab")));
	assert_true(bytes_equal_constant_time(BYTES("abc"), BYTES("abc")));
}

static void
a_buffer_keeps_to_its_maximum_and_stays_failed(void **state)
{
	uint8_t room[4];
	struct buf fixed = BUF_OVER(room), growing = buf_growing(1000);

	(void)state;
	buf_add_string(&fixed, "abcd");
	assert_int_equal(buf_result(&fixed), OK);
	assert_null(buf_string(&fixed)); /* no room for the zero */
	buf_add_string(&fixed, "");
	assert_int_equal(buf_result(&fixed), EXHAUSTED);
	buf_clear(&fixed);
	assert_int_equal(buf_result(&fixed), OK);
	for (int i = 0; i < 100; i++)
		buf_add_string(&growing, "0123456789");
	assert_int_equal(buf_result(&growing), OK);
	assert_int_equal(growing.len, 1000);
	buf_add_octet(&growing, 'x');
	buf_add_string(&growing, "");
	assert_int_equal(buf_result(&growing), EXHAUSTED);
	assert_int_equal(growing.len, 1000);
	buf_free(&growing);
}

static void
a_size_that_wraps_fails_the_buffer(void **state)
{
	struct buf b = buf_growing(SIZE_MAX);

	(void)state;
	buf_add_octet(&b, 'x');
	assert_null(buf_room(&b, SIZE_MAX));
	assert_true(b.failed);
	buf_free(&b);
}

static void
formats_and_numbers_are_exact(void **state)
{
	uint8_t room[64];
	struct buf b = BUF_OVER(room);

	(void)state;
	buf_add_number(&b, UINT64_MAX);
	buf_format(&b, " %s-%d", "x", 5);
	buf_add_number(&b, 0);
	assert_string_equal(buf_string(&b), "18446744073709551615 x-50");
}

static void
ids_sort_by_age_and_never_repeat(void **state)
{
	uint64_t last = 0;
	struct id previous = id_next(&last, 1000), next;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		next = id_next(&last, i % 3 == 0 ? 5 : 1000); /* a clock that stands or goes back */
		assert_true(strcmp(previous.text, next.text) < 0);
		assert_true(id_is_valid(bytes_of_string(next.text)));
		previous = next;
	}
	next = id_of_number(UINT64_C(1795412345678901));
	assert_int_equal(id_number(&next), UINT64_C(1795412345678901));
	assert_false(id_is_valid(BYTES("../../../ab")));
	assert_false(id_is_valid(BYTES("0000000000")));
	assert_false(id_is_valid(BYTES("0000000000W")));
}

static void
a_why_is_filled_once(void **state)
{
	struct why why = WHY_NONE;
	static char text[2 * WHY_MAX];

	(void)state;
	memset(text, 'a', sizeof text - 1);
	assert_int_equal(why_set(&why, REFUSED, "%s", text), REFUSED);
	assert_int_equal(strlen(why.text), WHY_MAX - 1);
	assert_int_equal(why_set(&why, BROKEN, "second"), BROKEN);
	assert_int_equal(why.text[0], 'a');
	assert_int_equal(result_meaning(OK)->exit_status, 0);
	assert_int_equal(result_meaning((enum result)77)->exit_status, 111);
}

static void
a_secret_is_gone_when_it_is_wiped(void **state)
{
	static uint8_t secret[3000] = "secret";
	struct why why = WHY_NONE;

	(void)state;
	assert_int_equal(secret_lock(secret, sizeof secret, &why), OK);
	assert_memory_equal(secret, "secret", 6);
	secret_wipe(secret, 6);
	assert_memory_equal(secret, "\0\0\0\0\0\0", 6);
	secret_wipe(NULL, 0);
}

static void
notify_is_never_alone_or_some_of_the_others(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 64; bits++)
		assert_int_equal(
		    notify_is_valid(bits), bits < 16 && ((bits & NOTIFY_NEVER) == 0 || bits == NOTIFY_NEVER));
	assert_int_equal(notify_of_word(BYTES("delay")), NOTIFY_DELAY);
	assert_int_equal(notify_of_word(BYTES("DELAYED")), 0);
	assert_int_equal(notify_of_word(BYTES_NONE), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_taken_whole_or_not_at_all),
		cmocka_unit_test(splitting_gives_every_piece_once),
		cmocka_unit_test(views_never_reach_past_their_end),
		cmocka_unit_test(a_buffer_keeps_to_its_maximum_and_stays_failed),
		cmocka_unit_test(a_size_that_wraps_fails_the_buffer),
		cmocka_unit_test(formats_and_numbers_are_exact),
		cmocka_unit_test(ids_sort_by_age_and_never_repeat),
		cmocka_unit_test(a_why_is_filled_once),
		cmocka_unit_test(a_secret_is_gone_when_it_is_wiped),
		cmocka_unit_test(notify_is_never_alone_or_some_of_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
