/* Headers of mail from programs, made whole while they pass.
 * Trusts lib/mail only as far as it asserts. */
#include "mail/complete.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static char result[4000];

/* The message in pieces of n octets. */
static const char *
completed(const char *message, size_t n)
{
	struct complete c;
	uint8_t room[COMPLETE_NAME_MAX + COMPLETE_ADDED_MAX + 2000];
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

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_there_stays),
		cmocka_unit_test(what_is_missing_is_added),
		cmocka_unit_test(blind_copies_are_blind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
