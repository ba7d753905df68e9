/* Tests of how somebody is written into a field: nothing in a name ends the string, the comment or the line. */
#include "unit.h"

#include "mail/author.h"

static void
names_are_written_so_that_no_reader_is_misled(void **state)
{
	static const struct {
		const char *name, *plain, *commented;
	} cases[] = {
		{ "", "<a@b.test>", "a@b.test" },
		{ "A (B) C", "\"A (B) C\" <a@b.test>", "a@b.test (A B C)" },
		{ "J\xc3\xb6rg", "=?utf-8?B?SsO2cmc=?=\n <a@b.test>", "a@b.test (=?utf-8?B?SsO2cmc=?=)" },
		{ "J\xf6rg", "=?unknown-8bit?B?SvZyZw==?=\n <a@b.test>", "a@b.test (=?unknown-8bit?B?SvZyZw==?=)" },
		{ "12345678901234567890123456789012345678\xc3\xb6\n)",
		    "=?utf-8?B?MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg=?=\n =?utf-8?B?w7YKKQ==?=\n "
		    "<a@b.test>",
		    "a@b.test (=?utf-8?B?MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg=?=\n "
		    "=?utf-8?B?w7YKKQ==?=)" },
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		uint8_t room[300], other[300];
		struct buf plain = BUF_OVER(room), commented = BUF_OVER(other);

		author_put(&plain, bytes_of_string(cases[i].name), BYTES("a@b.test"));
		author_put_commented(&commented, bytes_of_string(cases[i].name), BYTES("a@b.test"));
		assert_string_equal(buf_string(&plain), cases[i].plain);
		assert_string_equal(buf_string(&commented), cases[i].commented);
	}
}

static void
local_parts_are_quoted_where_they_must_be(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = { { "joe", "joe" }, { "joe.user+x", "joe.user+x" }, { "joe user", "\"joe user\"" },
		{ ".a", "\".a\"" }, { "a..b", "\"a..b\"" }, { "a\"b\\c", "\"a\\\"b\\\\c\"" }, { "", "\"\"" },
		{ "a\nb", "\"ab\"" }, { "x@y", "\"x@y\"" }, { "j\xc3\xb6", "j\xc3\xb6" } };

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		uint8_t room[100];
		struct buf b = BUF_OVER(room);

		author_put_local(&b, bytes_of_string(cases[i].in));
		assert_string_equal(buf_string(&b), cases[i].out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_written_so_that_no_reader_is_misled),
		cmocka_unit_test(local_parts_are_quoted_where_they_must_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
