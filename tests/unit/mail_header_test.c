/* Tests of lib/mail: dates, address lists, where a header ends, and how it is completed. Inputs are cut at every octet,
 * and every allocation fails once. */
#include "unit.h"

#include "failing.h"
#include "mail/address.h"
#include "mail/compose.h"
#include "mail/date.h"
#include "mail/header.h"

#include <stdlib.h>
#include <string.h>

static void
dates_are_those_of_rfc_5322(void **state)
{
	static const struct {
		uint64_t at;
		const char *text;
	} cases[] = {
		{ 0, "Thu, 1 Jan 1970 00:00:00 +0000" }, { 951827696, "Tue, 29 Feb 2000 12:34:56 +0000" },
		{ 1795410729, "Mon, 23 Nov 2026 05:12:09 +0000" }, { 4102444799, "Thu, 31 Dec 2099 23:59:59 +0000" },
		{ UINT64_MAX / 2, "Thu, 1 Jan 1970 00:00:00 +0000" }, /* no date that anybody could name */
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		uint8_t room[100];
		struct buf b = BUF_OVER(room);

		date_put(&b, cases[i].at);
		assert_string_equal(buf_string(&b), cases[i].text);
	}
}

static enum result
note_address(void *ctx, const struct address *a, struct why *why)
{
	struct buf *b = ctx;

	(void)why;
	buf_add(b, a->text);
	buf_add_string(b, a->has_domain ? ";" : "!;");
	return OK;
}

static const struct {
	const char *list, *found;
} lists[] = {
	{ "", "" },
	{ " \t\r\n ", "" },
	{ ",,;,", "" },
	{ "a@b.test", "a@b.test;" },
	{ "a", "a!;" },
	{ "A B <a@b.test>, c", "a@b.test;c!;" },
	{ "\"Last, First\" <a@b.test>", "a@b.test;" },
	{ "\"quoted \\\" local\"@b.test", "\"quoted \\\" local\"@b.test;" },
	{ "a@b.test (one (two) \\) three), (x) c@(y)d.test", "a@b.test;c@d.test;" },
	{ "friends: a@b.test, C <c@d.test>; , e@f.test", "a@b.test;c@d.test;e@f.test;" },
	{ "nobody:;", "" },
	{ "<@one.test,@two.test:a@b.test>", "a@b.test;" },
	{ "a . b @ c . test", "a.b@c.test;" },
	{ "a@[127.0.0.1], b@[IPv6:::1]", "a@[127.0.0.1];b@[IPv6:::1];" },
	{ "<>", "" },
	{ "a@b.test,\r\n\tc@d.test", "a@b.test;c@d.test;" },
	{ "J. Random <a@b.test>", "a@b.test;" },
	{ "\xc3\xbc <\xc3\xbc@\xc3\xa4.test>", "\xc3\xbc@\xc3\xa4.test;" },
	{ "<a@b.test> and more, c@d.test", "a@b.test;c@d.test;" },
	{ "(only a comment)", "" },
};

static void
addresses_are_found_in_every_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(lists); i++) {
		uint8_t room[500];
		struct buf b = BUF_OVER(room);
		struct why why = WHY_NONE;

		if (address_list(bytes_of_string(lists[i].list), note_address, &b, &why) != OK)
			fail_msg("%s: %s", lists[i].list, why.text);
		assert_string_equal(buf_string(&b), lists[i].found);
	}
}

static void
what_is_no_list_says_what_was_expected(void **state)
{
	static const char *const bad[] = { "a b", "a b@c.test", "<a@b.test", "a@b.test>", "(open", "\"open", "a@[1.2",
		"@b.test", "a@", "a.", "<a@b.test> <c@d.test>", "<a <b>>", "a\001b", "a\\b", "]", "\"x\\", "(x\\" };

	(void)state;
	for (size_t i = 0; i < nitems(bad); i++) {
		uint8_t room[500];
		struct buf b = BUF_OVER(room);
		struct why why = WHY_NONE;

		if (address_list(bytes_of_string(bad[i]), note_address, &b, &why) != MALFORMED)
			fail_msg("%s", bad[i]);
		assert_memory_equal(why.text, "expected ", 9);
	}
}

static void
what_is_no_list_is_quoted_around_the_fault(void **state)
{
	static const struct {
		const char *list, *why;
	} cases[] = {
		{ "a@b.test c", "expected an address at octet 11 of the address list \"a@b.test c\"" },
		{ "<a@b.test\r\n", "expected > at octet 12 of the address list \"<a@b.test\"" },
		{ "a\033b", "expected no control character at octet 2 of the address list \"a.b\"" },
		{ "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee> fffffffffffffffffffffffffffff",
		    "expected < at octet 51 of the address list "
		    "\"...bbbbbbbbbbccccccccccddddddddddeeeeeeeeee> ffffffffffffffffff...\"" },
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		uint8_t room[500];
		struct buf b = BUF_OVER(room);
		struct why why = WHY_NONE;

		assert_int_equal(address_list(bytes_of_string(cases[i].list), note_address, &b, &why), MALFORMED);
		assert_string_equal(why.text, cases[i].why);
	}
}

static void
a_nul_in_a_quoted_name_is_no_second_recipient(void **state)
{
	uint8_t room[100];
	struct buf b = BUF_OVER(room);

	(void)state;
	assert_int_equal(address_list(BYTES("\"a\0b\"@c.test"), note_address, &b, NULL), MALFORMED);
}

static void
an_address_may_not_be_longer_than_its_bound(void **state)
{
	static uint8_t text[ADDRESS_MAX + 10], room[2 * ADDRESS_MAX];
	struct buf b = BUF_OVER(room);

	(void)state;
	memset(text, 'a', sizeof text);
	assert_int_equal(address_list(bytes_of(text, ADDRESS_MAX), note_address, &b, NULL), OK);
	assert_int_equal(b.len, ADDRESS_MAX + 2);
	assert_int_equal(address_list(bytes_of(text, ADDRESS_MAX + 1), note_address, &b, NULL), MALFORMED);
}

/* from exact memory, so that a sanitizer sees an octet too far */
static void
lists_may_end_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(lists); i++)
		for (size_t len = 0; len <= strlen(lists[i].list); len++) {
			uint8_t room[500], *exact = malloc(len + (len == 0));
			struct buf b = BUF_OVER(room);
			struct why why = WHY_NONE;
			enum result r;

			assert_non_null(exact);
			memcpy(exact, lists[i].list, len);
			r = address_list(bytes_of(exact, len), note_address, &b, &why);
			assert_true(r == OK || (r == MALFORMED && why.text[0] != '\0'));
			free(exact);
		}
}

static enum result
refuse_address(void *ctx, const struct address *a, struct why *why)
{
	(void)a;
	++*(int *)ctx;
	return why_set(why, EXHAUSTED, "enough");
}

static void
who_takes_addresses_can_stop(void **state)
{
	int n = 0;

	(void)state;
	assert_int_equal(address_list(BYTES("a, b, c"), refuse_address, &n, NULL), EXHAUSTED);
	assert_int_equal(n, 1);
}

static const struct {
	const char *text;
	size_t header_len, body_at;
} messages[] = {
	{ "", 0, 0 },
	{ "\n", 0, 1 },
	{ "\r\n", 0, 2 },
	{ "A: b\n\nbody\n", 5, 6 },
	{ "A: b\r\n\r\nbody\n", 6, 8 },
	{ "A: b\n c\n\td\n\nbody", 11, 12 },
	{ "A: b", 4, 4 },
	{ "A: b\n", 5, 5 },
	{ "A: b\nno field\nC: d\n", 5, 5 },
	{ "hello", 0, 0 },
	{ "hello\nA: b\n", 0, 0 },
	{ " A: b\n", 0, 0 },
	{ "From x Mon Nov 23\nA: b\n\nbody", 23, 24 },
	{ ">From x Mon Nov 23\nA: b\n\nbody", 24, 25 },
	{ "A: b\nFrom x\n\n", 5, 5 },
	{ "A : b\n\n", 6, 7 },
	{ ": b\n\n", 0, 0 },
	{ "A\xc3: b\n\n", 0, 0 },
};

static void
a_header_ends_where_its_fields_end(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(messages); i++) {
		struct header_end h = { 0 };

		assert_true(header_find_end(&h, bytes_of_string(messages[i].text), true));
		assert_int_equal(h.header_len, messages[i].header_len);
		assert_int_equal(h.body_at, messages[i].body_at);
	}
}

static void
a_header_ends_there_in_whatever_pieces_it_comes(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(messages); i++) {
		struct header_end h = { 0 };
		size_t whole = strlen(messages[i].text), len = 0;

		while (!header_find_end(&h, bytes_of(messages[i].text, len), len == whole))
			assert_true(++len <= whole);
		assert_int_equal(h.header_len, messages[i].header_len);
		assert_int_equal(h.body_at, messages[i].body_at);
	}
}

static struct compose
composer(void)
{
	return (struct compose){ .default_host = BYTES("host.test"),
		.default_domain = BYTES("test"),
		.plus_domain = BYTES("plus.test"),
		.id_host = BYTES("id.test"),
		.from = BYTES("me@host.test"),
		.now_s = 1795410729,
		.unique = 0xabc };
}

static struct bytes
composed(struct compose *c, const char *header)
{
	struct why why = WHY_NONE;

	if (compose_header(c, bytes_of_string(header), &why) != OK)
		fail_msg("%s: %s", header, why.text);
	buf_add_octet(&c->header, '\0');
	return buf_bytes(&c->header);
}

#define OUR_DATE "Date: Mon, 23 Nov 2026 05:12:09 +0000\n"
#define OUR_ID "Message-ID: <1795410729.abc@id.test>\n"
#define OUR_FROM "From: <me@host.test>\n"
#define NOBODY "To: undisclosed-recipients:;\n"

static void
headers_are_completed(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "", OUR_DATE OUR_ID OUR_FROM NOBODY },
		{ "From a@b.test now\nSubject: x\n", "Subject: x\n" OUR_DATE OUR_ID OUR_FROM NOBODY },
		{ "To: a\n", "To: a@host.test\n" OUR_DATE OUR_ID OUR_FROM },
		{ "to: a@sub, b@x+ (note), \"c\" <c>\n",
		    "to: a@sub.test, b@x.plus.test (note), \"c\" <c@host.test>\n" OUR_DATE OUR_ID OUR_FROM },
		{ "DATE: x\nFROM: y@z.test\nMESSAGE-ID: <i>\nCc: k@l.test\n",
		    "DATE: x\nFROM: y@z.test\nMESSAGE-ID: <i>\nCc: k@l.test\n" },
		{ "To: a@b.test\nBcc: c@d.test,\n e@f.test\nSubject: s\n",
		    "To: a@b.test\nSubject: s\n" OUR_DATE OUR_ID OUR_FROM },
		{ "Return-Path: <x@y.test>\nContent-Length: 12\nTo: a@b.test",
		    "To: a@b.test\n" OUR_DATE OUR_ID OUR_FROM },
		{ "Bcc : c@d.test\nTo: a@b.test\n", "To: a@b.test\n" OUR_DATE OUR_ID OUR_FROM },
		{ "Resent-To: a@b.test\nResent-Bcc: c@d.test\nTo: z\n",
		    "Resent-To: a@b.test\nTo: z@host.test\nResent-" OUR_DATE "Resent-" OUR_ID "Resent-" OUR_FROM },
		{ "From: Cron Daemon\nTo: a, b c <\n", "From: Cron Daemon\nTo: a, b c <\n" OUR_DATE OUR_ID },
		{ "To: a@[127.0.0.1]\n", "To: a@[127.0.0.1]\n" OUR_DATE OUR_ID OUR_FROM },
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct compose c = composer();

		assert_string_equal((const char *)composed(&c, cases[i].in).at, cases[i].out);
		assert_int_equal(c.n_recipients, 0);
		compose_free(&c);
	}
}

static void
a_full_name_stays_one_quoted_string(void **state)
{
	struct compose c = composer();

	(void)state;
	c.name = BYTES("A \"B\" \\C\n\x7f");
	composed(&c, "To: a@b.test\n");
	assert_non_null(strstr((char *)c.header.at, "From: \"A B C\" <me@host.test>\n"));
	compose_free(&c);
}

static void
the_sender_may_come_from_return_path(void **state)
{
	static const struct {
		const char *in, *sender; /* null: it does not say one */
	} cases[] = {
		{ "Return-Path: <q@r.test>\n", "q@r.test" },
		{ "RETURN-PATH: q@r\n", "q@r.test" },
		{ "Return-Path: <>\n", "" },
		{ "Return-Path: \n", NULL },
		{ "Return-Path: <q@r\n", NULL },
		{ "Subject: x\n", NULL },
	};

	(void)state;
	for (size_t i = 0; i < 2 * nitems(cases); i++) {
		struct compose c = composer();
		const char *wanted = i % 2 == 0 ? cases[i / 2].sender : NULL;

		c.take_sender = i % 2 == 0;
		assert_null(strstr((const char *)composed(&c, cases[i / 2].in).at, "r.test"));
		assert_int_equal(c.has_sender, wanted != NULL);
		if (wanted != NULL)
			assert_true(bytes_equal(buf_bytes(&c.sender), bytes_of_string(wanted)));
		compose_free(&c);
	}
}

static void
mail_to_a_list_says_where_followups_belong(void **state)
{
	static const struct {
		const char *in, *followup; /* null: nothing is said */
	} cases[] = {
		{ "To: a@b.test, LIST@c\nCc: d\nBcc: e@f.test\n",
		    "\nMail-Followup-To: a@b.test,\n LIST@c.test,\n d@host.test\n" },
		{ "To: a@b.test\nBcc: list@c.test\n", NULL },
		{ "To: list@c.test\nMail-Followup-To: x\n", NULL },
		{ "To: list@c.test, a b <\n", NULL },
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct compose c = composer();
		const char *header;

		c.lists = BYTES("\nother@c.test\n list@c.test\n");
		header = (const char *)composed(&c, cases[i].in).at;
		if (cases[i].followup != NULL)
			assert_non_null(strstr(header, cases[i].followup));
		else
			assert_null(strstr(header, "Mail-Followup-To: l"));
		compose_free(&c);
	}
}

static void
fields_are_replaced_when_asked_for(void **state)
{
	struct compose c = composer();

	(void)state;
	c.own_from = c.own_id = true;
	assert_string_equal((const char *)composed(&c, "From: x@y.test,\n z\nMessage-ID: <i>\nTo: a@b.test\n").at,
	    "To: a@b.test\n" OUR_DATE OUR_ID OUR_FROM);
	compose_free(&c);
}

static void
recipients_come_from_the_header(void **state)
{
	static const struct {
		const char *in, *recipients;
	} cases[] = {
		{ "To: a, B <b@c.test>\nCc: d@e.test\nBcc: f@g.test\nFrom: x@y.test\n",
		    "a@host.test;b@c.test;d@e.test;f@g.test;" },
		{ "To: a@b.test\nResent-To: c@d.test\nResent-Bcc: e@f.test\nBcc: g@h.test\n", "c@d.test;e@f.test;" },
		{ "Subject: nobody\n", "" },
		{ "To: x: a@b+, c@sub;\n", "a@b.plus.test;c@sub.test;" },
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct compose c = composer();

		c.take_recipients = true;
		composed(&c, cases[i].in);
		for (size_t k = 0; k < c.recipients.len; k++)
			if (c.recipients.at[k] == '\0')
				c.recipients.at[k] = ';';
		buf_add_octet(&c.recipients, '\0');
		assert_string_equal((char *)c.recipients.at, cases[i].recipients);
		compose_free(&c);
	}
}

static void
more_recipients_than_the_bound_are_too_many(void **state)
{
	struct compose c = composer();

	(void)state;
	c.recipients = buf_growing(COMPOSE_HEADER_MAX);
	for (unsigned i = 0; i < COMPOSE_RECIPIENTS_MAX; i++)
		assert_int_equal(compose_recipient(&c, BYTES("a@b.test"), NULL), OK);
	assert_int_equal(compose_recipient(&c, BYTES("a@b.test"), NULL), REFUSED);
	compose_free(&c);
}

static void
without_memory_no_header_goes_out_half(void **state)
{
	unsigned n;

	(void)state;
	for (n = 1;; n++) {
		struct compose c = composer();
		enum result r;

		c.take_recipients = c.take_sender = true;
		c.lists = BYTES("a@b.test");
		fail_allocation(n);
		r = compose_header(&c, BYTES("Return-Path: x@y\nTo: a@b.test\nBcc: c\nSubject: x\n"), NULL);
		if (!allocation_failed()) {
			fail_allocation(0);
			assert_int_equal(r, OK);
			compose_free(&c);
			break;
		}
		assert_int_equal(r, EXHAUSTED);
		compose_free(&c);
	}
	assert_true(n > 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dates_are_those_of_rfc_5322),
		cmocka_unit_test(addresses_are_found_in_every_form),
		cmocka_unit_test(what_is_no_list_says_what_was_expected),
		cmocka_unit_test(what_is_no_list_is_quoted_around_the_fault),
		cmocka_unit_test(a_nul_in_a_quoted_name_is_no_second_recipient),
		cmocka_unit_test(an_address_may_not_be_longer_than_its_bound),
		cmocka_unit_test(lists_may_end_anywhere),
		cmocka_unit_test(who_takes_addresses_can_stop),
		cmocka_unit_test(a_header_ends_where_its_fields_end),
		cmocka_unit_test(a_header_ends_there_in_whatever_pieces_it_comes),
		cmocka_unit_test(headers_are_completed),
		cmocka_unit_test(a_full_name_stays_one_quoted_string),
		cmocka_unit_test(fields_are_replaced_when_asked_for),
		cmocka_unit_test(the_sender_may_come_from_return_path),
		cmocka_unit_test(mail_to_a_list_says_where_followups_belong),
		cmocka_unit_test(recipients_come_from_the_header),
		cmocka_unit_test(more_recipients_than_the_bound_are_too_many),
		cmocka_unit_test(without_memory_no_header_goes_out_half),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
