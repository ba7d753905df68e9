/* Headers of mail from programs, made whole while they pass.
 * Trusts lib/mail only as far as it asserts. */
#include "mail/complete.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static char result[8000];

/* The message in pieces of n octets. */
static const char *
completed(const char *message, size_t n)
{
	struct complete c;
	uint8_t room[COMPLETE_NAME_MAX + COMPLETE_ADDED_MAX + 4000];
	struct bytes rest = bytes_of_string(message);
	struct buf out = BUF_OVER(room), all = BUF_OVER(result);

	complete_begin(&c, "unique", "mx.test");
	while (rest.len > 0) {
		complete_push(&c, bytes_first(rest, n), 0, &out);
		assert_false(out.failed);
		buf_add(&all, buf_bytes(&out));
		buf_clear(&out);
		rest = bytes_skip(rest, n);
	}
	complete_finish(&c, 0, &out);
	buf_add(&all, buf_bytes(&out));
	return buf_string(&all);
}

static void
assert_completed(const char *message, const char *expected)
{
	for (size_t n = 1; n <= strlen(message); n++)
		assert_string_equal(completed(message, n), expected);
}

#define ID "Message-ID: <unique@mx.test>\r\n"

static void
what_is_there_stays(void **state)
{
	static const char *const messages[] = { "Date: x\r\nMessage-ID: y\r\n\r\nbody\r\n.\r\nBcc: in the body\r\n",
		"MESSAGE-id:\r\n y\r\ndate : x\r\nTo: a\r\n b\r\n\r\n",
		"Date: x\r\nMessage-Id: y\r\nBccx: z\r\nX-Bcc: q\r\n\r\n" };

	(void)state;
	for (size_t i = 0; i < nitems(messages); i++)
		assert_completed(messages[i], messages[i]);
}

static void
what_is_missing_is_added(void **state)
{
	const char *is;

	(void)state;
	for (size_t n = 1; n < 30; n++) {
		is = completed("Subject: x\r\n\r\nDate: in the body\r\n", n);
		assert_non_null(strstr(is, "Subject: x\r\n"));
		assert_non_null(strstr(is, "\r\nDate: "));
		assert_non_null(strstr(is, " 1970 00:00:00 "));
		assert_non_null(strstr(is, ID));
		assert_non_null(strstr(is, "\r\n\r\nDate: in the body\r\n"));
		is = completed("Date: x\r\n\r\n", n);
		assert_null(strstr(is, "1970"));
		assert_non_null(strstr(is, ID));
	}
}

static void
blind_copies_are_blind(void **state)
{
	(void)state;
	assert_completed(
	    "Bcc: a@b\r\n\tc@d\r\nDate: x\r\nRESENT-BCC : e\r\nMessage-ID: y\r\nbcc:f\r\n g\r\n\r\nBcc: body\r\n",
	    "Date: x\r\nMessage-ID: y\r\n\r\nBcc: body\r\n");
}

#define DATE "Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n"

static void
a_body_without_a_blank_line_before_it_loses_no_line_and_gets_no_field(void **state)
{
	static const struct {
		const char *message, *expected;
	} cases[] = {
		{ "Subject: x\r\nHello Bob,\r\nBcc: is a word\r\nDate: tomorrow\r\n",
		    "Subject: x\r\n" DATE ID "\r\nHello Bob,\r\nBcc: is a word\r\nDate: tomorrow\r\n" },
		{ "just text\r\nBcc: stays\r\n\r\nmore\r\n", DATE ID "\r\njust text\r\nBcc: stays\r\n\r\nmore\r\n" },
		{ "word\r\n", DATE ID "\r\nword\r\n" },
		{ " a blank first\r\nBcc: stays\r\n", DATE ID "\r\n a blank first\r\nBcc: stays\r\n" },
		{ ":\r\nBcc: stays\r\n", DATE ID "\r\n:\r\nBcc: stays\r\n" },
		{ "Bcc: a@b\r\nS\xc3\xbc\xc3\x9f: no name of a field\r\nBcc: stays\r\n",
		    DATE ID "\r\nS\xc3\xbc\xc3\x9f: no name of a field\r\nBcc: stays\r\n" },
		{ "Bcc: a@b\r\n", DATE ID },
		{ "\r\nBcc: stays\r\n", DATE ID "\r\nBcc: stays\r\n" },
		{ "From me@here Thu Jan 1\r\nBcc: a\r\n\r\nBcc: stays\r\n", DATE ID "\r\nBcc: stays\r\n" },
		{ "Subject: x\r\nFrom me to you\r\nBcc: stays\r\n",
		    "Subject: x\r\n" DATE ID "\r\nFrom me to you\r\nBcc: stays\r\n" },
		{ "From \t: a\r\nBCC\t: b\r\n c\r\n\r\n", "From \t: a\r\n" DATE ID "\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++)
		assert_completed(cases[i].message, cases[i].expected);
}

static void
a_name_longer_than_a_line_may_be_is_no_field(void **state)
{
	static char name[COMPLETE_NAME_MAX + 3], message[2000], expected[2200];

	(void)state;
	for (int n = COMPLETE_NAME_MAX - 1; n <= COMPLETE_NAME_MAX + 2; n++) {
		memset(name, 'n', (size_t)n);
		(void)snprintf(message, sizeof message, "%.*s: x\r\nBcc: y\r\n", n, name);
		if (n <= COMPLETE_NAME_MAX)
			(void)snprintf(expected, sizeof expected, "%.*s: x\r\n" DATE ID, n, name);
		else
			(void)snprintf(expected, sizeof expected, DATE ID "\r\n%s", message);
		for (size_t cut = 1; cut < strlen(message); cut += 97)
			assert_string_equal(completed(message, cut), expected);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_without_a_blank_line_before_it_loses_no_line_and_gets_no_field),
		cmocka_unit_test(a_name_longer_than_a_line_may_be_is_no_field),
		cmocka_unit_test(what_is_there_stays),
		cmocka_unit_test(what_is_missing_is_added),
		cmocka_unit_test(blind_copies_are_blind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
