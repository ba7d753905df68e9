/* Command lines: each form, each refusal with its code, every cut.
 * Trusts nothing of lib/net.
 * Never needs a connection. */
#include "unit.h"

#include "net/smtp_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *line;
	enum smtp_verb verb;
	const char *argument;
} verb_cases[] = {
	{ "EHLO a", SMTP_EHLO, "a" },
	{ "ehlo  a\t", SMTP_EHLO, "a" },
	{ "HeLo", SMTP_HELO, "" },
	{ "MAIL FROM:<>", SMTP_MAIL, "FROM:<>" },
	{ "rcpt to:<a>", SMTP_RCPT, "to:<a>" },
	{ "DATA", SMTP_DATA, "" },
	{ "BDAT 1 LAST", SMTP_BDAT, "1 LAST" },
	{ "RSET", SMTP_RSET, "" },
	{ "NOOP x", SMTP_NOOP, "x" },
	{ "VRFY a", SMTP_VRFY, "a" },
	{ "EXPN a", SMTP_EXPN, "a" },
	{ "HELP", SMTP_HELP, "" },
	{ "QUIT ", SMTP_QUIT, "" },
	{ "STARTTLS", SMTP_STARTTLS, "" },
	{ "AUTH PLAIN", SMTP_AUTH, "PLAIN" },
	{ "GET / HTTP/1.1", SMTP_OTHER_PROTOCOL, "/ HTTP/1.1" },
	{ "POST / HTTP/1.1", SMTP_OTHER_PROTOCOL, "/ HTTP/1.1" },
	{ "CONNECT a:25 HTTP/1.1", SMTP_OTHER_PROTOCOL, "a:25 HTTP/1.1" },
	{ "Host: a", SMTP_OTHER_PROTOCOL, "a" },
	{ "Host:a", SMTP_OTHER_PROTOCOL, "" },
	{ "hOST:a:25", SMTP_OTHER_PROTOCOL, "" },
	{ "Content-Length:5", SMTP_OTHER_PROTOCOL, "" },
	{ "", SMTP_UNKNOWN, "" },
	{ " NOOP", SMTP_UNKNOWN, "NOOP" },
	{ "NOOPE", SMTP_UNKNOWN, "" },
	{ "NOO", SMTP_UNKNOWN, "" },
	{ "NOOP\tx", SMTP_UNKNOWN, "" },
	{ "DATA\x80", SMTP_UNKNOWN, "" },
};

static void
verbs_are_known_in_any_case(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(verb_cases); i++) {
		struct smtp_command c = smtp_command_parse(bytes_of_string(verb_cases[i].line));

		assert_int_equal(c.verb, verb_cases[i].verb);
		assert_true(bytes_equal(c.argument, bytes_of_string(verb_cases[i].argument)));
	}
}

static const struct {
	const char *argument;
	unsigned code; /* 0: it is right */
	const char *path, *envid;
	uint64_t octets;
	unsigned flags;
} mail_cases[] = {
	{ "FROM:<>", 0, "", "", 0, 0 },
	{ "from:<a@b>", 0, "a@b", "", 0, 0 },
	{ "FROM: <a@b>", 0, "a@b", "", 0, 0 },
	{ "FROM:<a@b> SIZE=0", 0, "a@b", "", 0, 0 },
	{ "FROM:<a@b> size=100 body=7bit", 0, "a@b", "", 100, SMTP_BODY_GIVEN },
	{ "FROM:<a@b>  BODY=8BITMIME  SMTPUTF8 RET=HDRS ENVID=x+2By AUTH=<>", 0, "a@b", "x+2By", 0,
	    SMTP_8BITMIME | SMTP_BODY_GIVEN | SMTP_SMTPUTF8 | SMTP_RET_HDRS },
	{ "FROM:<list-@b> xverp", 0, "list-@b", "", 0, SMTP_XVERP },
	{ "FROM:<a@b> XVERP=1", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> RET=full", 0, "a@b", "", 0, SMTP_RET_FULL },
	{ "FROM:<\"a>b\"@c> SIZE=1", 0, "\"a>b\"@c", "", 1, 0 },
	{ "FROM:<\"a\\\">b\"@c>", 0, "\"a\\\">b\"@c", "", 0, 0 },
	{ "FROM:<a@b> SIZE=18446744073709551615", 0, "a@b", "", UINT64_MAX, 0 },
	{ "FROM:<a@b> SIZE=18446744073709551616", 0, "a@b", "", UINT64_MAX, 0 },
	{ "FROM:<a@b> SIZE=99999999999999999999", 0, "a@b", "", UINT64_MAX, 0 },
	{ "FROM:<a@b> SIZE=00000000000000000001", 0, "a@b", "", 1, 0 },
	{ "FROM:<a@b> AUTH=x+3Dy", 0, "a@b", "", 0, 0 },
	{ "", 501, NULL, NULL, 0, 0 },
	{ "FROM", 501, NULL, NULL, 0, 0 },
	{ "FROM:", 501, NULL, NULL, 0, 0 },
	{ "FROM:a@b", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b", 501, NULL, NULL, 0, 0 },
	{ "FROM:<\"a@b>", 501, NULL, NULL, 0, 0 },
	{ "FROM:<\"a\\\"@b>", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b>x", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b><c@d>", 501, NULL, NULL, 0, 0 },
	{ "TO:<a@b>", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> SIZE", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> SIZE=", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> SIZE=999999999999999999999", 501, NULL, NULL, 0, 0 }, /* RFC 1870 3: 20 digits */
	{ "FROM:<a@b> SIZE=000000000000000000001", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> SIZE=-1", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> SIZE=+1", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> SIZE=0x10", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> SIZE=1 SIZE=1", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> BODY=BINARYMIME", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> BODY=", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> SMTPUTF8=1", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> SMTPUTF8=", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> SMTPUTF8 SMTPUTF8", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> RET=ALL", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> RET=FULL RET=HDRS", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> ENVID=", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> ENVID=a+0D+0Ab", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> ENVID=a+00", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> ENVID=a+7F", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> ENVID=a+E4", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> ENVID=a+2", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> ENVID=a+", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> ENVID=a+2b", 501, NULL, NULL, 0, 0 }, /* upper case, says RFC 3461 4 */
	{ "FROM:<a@b> ENVID=a=b", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> ENVID=a\tb", 501, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> AUTH", 501, NULL, NULL, 0, 0 },
	{ "FROM:<> AUTH=\"", 0, "", "", 0, 0 },
	{ "FROM:<a@b> FOO", 555, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> FOO=1", 555, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> =1", 555, NULL, NULL, 0, 0 },
	{ "FROM:<a@b> NOTIFY=NEVER", 555, NULL, NULL, 0, 0 },
};

static void
mail_has_its_parameters_or_a_reply(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(mail_cases); i++) {
		struct smtp_mail m;
		struct smtp_fault fault = { 0 };
		bool right = smtp_mail_parse(bytes_of_string(mail_cases[i].argument), SMTP_EXTENDED, &m, &fault);

		if (right != (mail_cases[i].code == 0) || fault.code != mail_cases[i].code)
			fail_msg("%s: %u", mail_cases[i].argument, fault.code);
		if (!right)
			continue;
		assert_true(bytes_equal(m.path, bytes_of_string(mail_cases[i].path)));
		assert_true(bytes_equal(m.envid, bytes_of_string(mail_cases[i].envid)));
		assert_true(m.octets == mail_cases[i].octets);
		assert_int_equal(m.flags, mail_cases[i].flags);
	}
}

static const struct {
	const char *argument;
	unsigned code;
	const char *path, *orcpt;
	unsigned notify;
} rcpt_cases[] = {
	{ "TO:<a@b>", 0, "a@b", "", 0 },
	{ "to: <postmaster>", 0, "postmaster", "", 0 },
	{ "TO:<a@b> NOTIFY=NEVER", 0, "a@b", "", NOTIFY_NEVER },
	{ "TO:<a@b> notify=success,FAILURE,delay orcpt=rfc822;c+2Bd@e", 0, "a@b", "rfc822;c+2Bd@e",
	    NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY },
	{ "TO:<a@b> ORCPT=utf-8;\xc3\xa4@b", 0, "a@b", "utf-8;\xc3\xa4@b", 0 },
	{ "TO:<a@b> ORCPT=utf-8;\\x{e4}@b", 0, "a@b", "utf-8;\\x{e4}@b", 0 },
	{ "TO:<>", 501, NULL, NULL, 0 },
	{ "TO:", 501, NULL, NULL, 0 },
	{ "FROM:<a@b>", 501, NULL, NULL, 0 },
	{ "TO:<a@b> NOTIFY", 501, NULL, NULL, 0 },
	{ "TO:<a@b> NOTIFY=", 501, NULL, NULL, 0 },
	{ "TO:<a@b> NOTIFY=,", 501, NULL, NULL, 0 },
	{ "TO:<a@b> NOTIFY=SUCCESS,", 501, NULL, NULL, 0 },
	{ "TO:<a@b> NOTIFY=SUCCESS,SUCCESS", 501, NULL, NULL, 0 },
	{ "TO:<a@b> NOTIFY=NEVER,SUCCESS", 501, NULL, NULL, 0 },
	{ "TO:<a@b> NOTIFY=SUCCESS,NEVER", 501, NULL, NULL, 0 },
	{ "TO:<a@b> NOTIFY=NEVER NOTIFY=NEVER", 501, NULL, NULL, 0 },
	{ "TO:<a@b> NOTIFY=ALWAYS", 501, NULL, NULL, 0 },
	{ "TO:<a@b> ORCPT=", 501, NULL, NULL, 0 },
	{ "TO:<a@b> ORCPT=rfc822", 501, NULL, NULL, 0 },
	{ "TO:<a@b> ORCPT=rfc822;", 501, NULL, NULL, 0 },
	{ "TO:<a@b> ORCPT=;a@b", 501, NULL, NULL, 0 },
	{ "TO:<a@b> ORCPT=rfc 822;a@b", 501, NULL, NULL, 0 },
	{ "TO:<a@b> ORCPT=rfc:822;a@b", 501, NULL, NULL, 0 },
	{ "TO:<a@b> ORCPT=rfc822;a+0Ab", 501, NULL, NULL, 0 },
	{ "TO:<a@b> ORCPT=rfc822;\xc3\xa4@b", 501, NULL, NULL, 0 },
	{ "TO:<a@b> ORCPT=utf-8;\xc0\xaf@b", 501, NULL, NULL, 0 },
	{ "TO:<a@b> ORCPT=utf-8;", 501, NULL, NULL, 0 },
	{ "TO:<a@b> ORCPT=utf-8;a\x01", 501, NULL, NULL, 0 },
	{ "TO:<a@b> ORCPT=rfc822;a ORCPT=rfc822;a", 501, NULL, NULL, 0 },
	{ "TO:<a@b> SIZE=1", 555, NULL, NULL, 0 },
	{ "TO:<a@b> X", 555, NULL, NULL, 0 },
};

static void
rcpt_has_its_parameters_or_a_reply(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(rcpt_cases); i++) {
		struct smtp_rcpt r;
		struct smtp_fault fault = { 0 };
		bool right = smtp_rcpt_parse(bytes_of_string(rcpt_cases[i].argument), SMTP_EXTENDED, &r, &fault);

		if (right != (rcpt_cases[i].code == 0) || fault.code != rcpt_cases[i].code)
			fail_msg("%s: %u", rcpt_cases[i].argument, fault.code);
		if (!right)
			continue;
		assert_true(bytes_equal(r.path, bytes_of_string(rcpt_cases[i].path)));
		assert_true(bytes_equal(r.orcpt, bytes_of_string(rcpt_cases[i].orcpt)));
		assert_int_equal(r.notify, rcpt_cases[i].notify);
	}
}

static void
without_ehlo_there_are_no_parameters(void **state)
{
	struct smtp_mail m;
	struct smtp_rcpt r;
	struct smtp_fault fault;

	(void)state;
	assert_true(smtp_mail_parse(BYTES("FROM:<a@b>"), SMTP_PLAIN, &m, &fault));
	assert_true(smtp_rcpt_parse(BYTES("TO:<a@b>"), SMTP_PLAIN, &r, &fault));
	assert_false(smtp_mail_parse(BYTES("FROM:<a@b> SIZE=1"), SMTP_PLAIN, &m, &fault));
	assert_int_equal(fault.code, 555);
	assert_false(smtp_rcpt_parse(BYTES("TO:<a@b> NOTIFY=NEVER"), SMTP_PLAIN, &r, &fault));
	assert_int_equal(fault.code, 555);
}

static void
the_longest_envid_and_orcpt_are_those_of_rfc_3461(void **state)
{
	char line[1024];
	struct smtp_mail m;
	struct smtp_rcpt r;
	struct smtp_fault fault;

	(void)state;
	for (int n = 99; n <= 101; n++) {
		(void)snprintf(line, sizeof line, "FROM:<> ENVID=%0*d", n, 0);
		assert_int_equal(smtp_mail_parse(bytes_of_string(line), SMTP_EXTENDED, &m, &fault), n <= 100);
	}
	for (int n = 499; n <= 501; n++) {
		(void)snprintf(line, sizeof line, "TO:<a@b> ORCPT=rfc822;%0*d", n - 7, 0);
		assert_int_equal(smtp_rcpt_parse(bytes_of_string(line), SMTP_EXTENDED, &r, &fault), n <= 500);
	}
}

static const struct {
	const char *argument;
	bool right, last;
	uint64_t octets;
} bdat_cases[] = {
	{ "0", true, false, 0 },
	{ "1 LAST", true, true, 1 },
	{ "4294967297 last", true, true, UINT64_C(4294967297) },
	{ "9223372036854775807", true, false, INT64_MAX },
	{ "9223372036854775808", false, false, 0 },
	{ "18446744073709551617 LAST", false, false, 0 },
	{ "99999999999999999999", false, false, 0 },
	{ "", false, false, 0 },
	{ "LAST", false, false, 0 },
	{ "-1", false, false, 0 },
	{ "1x", false, false, 0 },
	{ "1 LAST LAST", false, false, 0 },
	{ "1 2", false, false, 0 },
};

static void
chunk_sizes_never_wrap(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(bdat_cases); i++) {
		struct smtp_bdat b;
		struct smtp_fault fault;

		if (smtp_bdat_parse(bytes_of_string(bdat_cases[i].argument), &b, &fault) != bdat_cases[i].right)
			fail_msg("%s", bdat_cases[i].argument);
		if (!bdat_cases[i].right)
			continue;
		assert_true(b.octets == bdat_cases[i].octets);
		assert_int_equal(b.last, bdat_cases[i].last);
	}
}

static void
what_would_mean_something_in_a_trace_field_leaves_a_helo_name(void **state)
{
	static const char *const names[][2] = { { "a", "a" }, { "mail.example.test", "mail.example.test" },
		{ "[192.0.2.1]", "[192.0.2.1]" }, { "[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]" }, { "my_pc", "my_pc" },
		{ "192.0.2.1", "192.0.2.1" }, { "", "" }, { "a b", "a?b" }, { "a(b)", "a?b?" }, { "<a>", "?a?" },
		{ "a\"\\;,", "a????" }, { "a\x01\x7f\x80", "a???" }, { "b\xc3\xbc.test", "b??.test" } };
	uint8_t room[SMTP_HELO_MAX];
	char longest[257];

	(void)state;
	for (size_t i = 0; i < nitems(names); i++) {
		int n = smtp_helo_take(bytes_of_string(names[i][0]), room);

		assert_int_equal(n, strlen(names[i][1]));
		assert_memory_equal(room, names[i][1], (size_t)n);
	}
	memset(longest, 'a', sizeof longest);
	assert_int_equal(smtp_helo_take(bytes_of(longest, 255), room), 255);
	assert_int_equal(smtp_helo_take(bytes_of(longest, 256), room), -1);
}

static void
a_device_may_leave_brackets_out_and_nobody_else(void **state)
{
	static const struct {
		const char *argument, *path;
		uint64_t octets;
	} cases[] = { { "FROM:a@b", "a@b", 0 }, { "FROM: a@b", "a@b", 0 }, { "FROM:a@b SIZE=7", "a@b", 7 },
		{ "FROM: <a@b> SIZE=7", "a@b", 7 }, { "FROM:scanner", "scanner", 0 }, { "FROM:<>", "", 0 } };
	struct smtp_mail m;
	struct smtp_rcpt r;
	struct smtp_fault fault;

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		assert_true(smtp_mail_parse(bytes_of_string(cases[i].argument), SMTP_LENIENT, &m, &fault));
		assert_true(bytes_equal(m.path, bytes_of_string(cases[i].path)));
		assert_int_equal(m.octets, cases[i].octets);
	}
	assert_true(smtp_rcpt_parse(BYTES("TO:a@b NOTIFY=NEVER"), SMTP_LENIENT, &r, &fault));
	assert_true(bytes_equal(r.path, BYTES("a@b")));
	assert_false(smtp_mail_parse(BYTES("FROM:"), SMTP_LENIENT, &m, &fault));
	assert_false(smtp_mail_parse(BYTES("FROM:<a@b"), SMTP_LENIENT, &m, &fault));
	assert_false(smtp_mail_parse(BYTES("FROM:a@b"), SMTP_EXTENDED, &m, &fault));
	assert_false(smtp_rcpt_parse(BYTES("TO:a@b"), SMTP_EXTENDED, &r, &fault));
}

/* each cut in memory of its own size, so that a sanitizer sees an octet too far */
static void
cut_everywhere(const char *argument)
{
	size_t len = strlen(argument);

	for (size_t cut = 0; cut <= len; cut++) {
		char *copy = malloc(cut + 1);
		struct bytes v = bytes_of(memcpy(copy, argument, cut), cut);
		struct smtp_fault fault;

		(void)smtp_command_parse(v);
		(void)smtp_mail_parse(v, SMTP_EXTENDED, &(struct smtp_mail){ 0 }, &fault);
		(void)smtp_rcpt_parse(v, SMTP_EXTENDED, &(struct smtp_rcpt){ 0 }, &fault);
		(void)smtp_bdat_parse(v, &(struct smtp_bdat){ 0 }, &fault);
		(void)smtp_mail_parse(v, SMTP_LENIENT, &(struct smtp_mail){ 0 }, &fault);
		(void)smtp_helo_take(v, (uint8_t[SMTP_HELO_MAX]){ 0 });
		free(copy);
	}
}

static void
a_line_cut_anywhere_is_never_read_beyond(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(verb_cases); i++)
		cut_everywhere(verb_cases[i].line);
	for (size_t i = 0; i < nitems(mail_cases); i++)
		cut_everywhere(mail_cases[i].argument);
	for (size_t i = 0; i < nitems(rcpt_cases); i++)
		cut_everywhere(rcpt_cases[i].argument);
	for (size_t i = 0; i < nitems(bdat_cases); i++)
		cut_everywhere(bdat_cases[i].argument);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verbs_are_known_in_any_case),
		cmocka_unit_test(mail_has_its_parameters_or_a_reply),
		cmocka_unit_test(rcpt_has_its_parameters_or_a_reply),
		cmocka_unit_test(without_ehlo_there_are_no_parameters),
		cmocka_unit_test(the_longest_envid_and_orcpt_are_those_of_rfc_3461),
		cmocka_unit_test(chunk_sizes_never_wrap),
		cmocka_unit_test(what_would_mean_something_in_a_trace_field_leaves_a_helo_name),
		cmocka_unit_test(a_device_may_leave_brackets_out_and_nobody_else),
		cmocka_unit_test(a_line_cut_anywhere_is_never_read_beyond),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
