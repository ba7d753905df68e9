/* Which messages need SMTPUTF8 for their header. */
#include "unit.h"

#include "mail/header_ascii.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static bool
is_ascii(const char *content)
{
	int fd = memfd_create("message", MFD_CLOEXEC);
	size_t len = strlen(content);
	bool found;

	assert_int_equal(write(fd, "\xff", 1), 1); /* what is before the content is none of it */
	assert_int_equal(write(fd, content, len), len);
	found = header_is_ascii(fd, 1, len);
	(void)close(fd);
	return found;
}

static void
only_octets_of_the_header_count(void **state)
{
	static const struct {
		const char *content;
		bool ascii;
	} rows[] = {
		{ "", true },
		{ "Subject: x\r\n\r\nsch\xc3\xb6n\r\n", true },
		{ "Subject: x\n\nsch\xc3\xb6n\n", true },
		{ "\r\nsch\xc3\xb6n\r\n", true },
		{ "Subject: Gr\xc3\xbc\xc3\x9f"
		  "e\r\n\r\nx\r\n",
		    false },
		{ "a: b\r\nSubject: \xfc\n\nx\n", false },
		{ "a: b\r\n\xc3\xb6", false },
		{ "a: b\r\n \r\nSubject: \xc3\xbc\r\n\r\n", false },
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++)
		assert_int_equal(is_ascii(rows[i].content), rows[i].ascii);
}

static void
a_header_of_any_length_is_looked_at_to_its_end(void **state)
{
	static char content[100000];

	(void)state;
	for (size_t end = 16300; end < 16500; end++) {
		memset(content, 'x', sizeof content - 1);
		memcpy(content + end, "\r\n\r\n\xc3", 5);
		assert_true(is_ascii(content));
		content[end - 1] = '\xc3';
		assert_false(is_ascii(content));
	}
}

static void
a_message_that_can_not_be_read_is_not_taken_for_a_simple_one(void **state)
{
	int fd = memfd_create("message", MFD_CLOEXEC);

	(void)state;
	assert_false(header_is_ascii(fd, 0, 10));
	(void)close(fd);
	assert_false(header_is_ascii(-1, 0, 10));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_octets_of_the_header_count),
		cmocka_unit_test(a_header_of_any_length_is_looked_at_to_its_end),
		cmocka_unit_test(a_message_that_can_not_be_read_is_not_taken_for_a_simple_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
