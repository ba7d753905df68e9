/* Addresses on a command line.
 * Trusts lib/mail only as far as it asserts. */
#include "mail/command_line.h"
#include "unit.h"

static enum result
note_address(void *ctx, const struct address *a, struct why *why)
{
	struct buf *b = ctx;

	(void)why;
	buf_add(b, a->text);
	buf_add_string(b, a->has_domain ? ";" : "!;");
	return OK;
}

static void
a_word_of_a_command_line_is_a_list_of_addresses(void **state)
{
	static const struct {
		const char *word, *found, *why;
	} cases[] = {
		{ "a@x.test,b@x.test", "a@x.test;b@x.test;", NULL },
		{ "a, b", "a!;b!;", NULL },
		{ "a ", "a!;", NULL },
		{ "\"Last, First\" <a@x.test>", "a@x.test;", NULL },
		{ "a (x)", "a!;", NULL },
		{ "Name <a>", "a!;", NULL },
		{ "team: a, b@x.test;", "a!;b@x.test;", NULL },
		{ "", NULL, "the recipient \"\" has no address in it" },
		{ " , ", NULL, "the recipient \" , \" has no address in it" },
		{ "(x)", NULL, "the recipient \"(x)\" has no address in it" },
		{ "a\nb", NULL, "the recipient has a line end or another control character in it" },
		{ "a b", NULL, "recipient: expected an address at octet 4 of the address list \"a b\"" },
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		uint8_t room[500];
		struct buf b = BUF_OVER(room);
		struct why why = WHY_NONE;
		enum result r = command_line_list(cases[i].word, "recipient", note_address, &b, &why);

		assert_int_equal(r, cases[i].found != NULL ? OK : MALFORMED);
		if (cases[i].found != NULL)
			assert_string_equal(buf_string(&b), cases[i].found);
		else
			assert_string_equal(why.text, cases[i].why);
	}
}

static void
a_sender_on_a_command_line_is_one_address(void **state)
{
	uint8_t room[ADDRESS_MAX];
	struct bytes address;
	struct why why = WHY_NONE;

	(void)state;
	assert_int_equal(command_line_address("Web <w@x.test>", "sender", room, &address, &why), OK);
	assert_true(bytes_equal(address, BYTES("w@x.test")));
	assert_int_equal(command_line_address("list-@x.test-@[]", "sender", room, &address, &why), OK);
	assert_true(bytes_equal(address, BYTES("list-@x.test-@[]")));
	assert_int_equal(command_line_address("a, b", "sender", room, &address, &why), MALFORMED);
	assert_string_equal(why.text, "sender: expected one address, found more");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_word_of_a_command_line_is_a_list_of_addresses),
		cmocka_unit_test(a_sender_on_a_command_line_is_one_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
