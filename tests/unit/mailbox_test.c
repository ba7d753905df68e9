/* Mailboxes, domains and UTF-8: each has one form or none.
 * Trusts nothing of lib/net.
 * Never asks a resolver. */
#include "unit.h"

#include "net/domain.h"
#include "net/mailbox.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
	const char *text;
	const char *normal; /* null: refused */
	bool utf8;          /* refused without SMTPUTF8 */
} paths[] = {
	{ "", "", false },
	{ "user@example.test", "user@example.test", false },
	{ "User+tag@Example.Test", "User+tag@Example.Test", false },
	{ "postmaster", "postmaster", false },
	{ "!#$%&'*+-/=?^_`{|}~@d", "!#$%&'*+-/=?^_`{|}~@d", false },
	{ "victim%target@own", "victim%target@own", false },
	{ "target!victim@own", "target!victim@own", false },
	{ "a.@d", "a.@d", false }, /* such addresses exist */
	{ "a..b@d", "a..b@d", false },
	/* quoted, and needlessly quoted */
	{ "\"user\"@d", "user@d", false },
	{ "\"\\u\\s\\e\\r\"@d", "user@d", false },
	{ "\"a b\"@d", "\"a b\"@d", false },
	{ "\"a\\\"b\"@d", "\"a\\\"b\"@d", false },
	{ "\"a\\\\b\"@d", "\"a\\\\b\"@d", false },
	{ "\"a@b\"@d", "\"a@b\"@d", false },
	{ "\"a>b\"@d", "\"a>b\"@d", false },
	{ "\"victim@target\"@own", "\"victim@target\"@own", false },
	{ "\"\"@d", NULL, false },
	{ "\"a@d", NULL, false },
	{ "\"a\\\"@d", NULL, false },
	{ "\"a\"b@d", NULL, false },
	{ "a\"b\"@d", NULL, false },
	{ "\"a\".\"b\"@d", NULL, false },
	{ "\"a\rb\"@d", NULL, false },
	{ "\"a\nb\"@d", NULL, false },
	{ "\"a\tb\"@d", NULL, false },
	{ "\"a\\\nb\"@d", NULL, false },
	{ "\"a\x7f\"@d", NULL, false },
	{ "\"a\\", NULL, false },
	/* routes */
	{ "@x:user@d", "user@d", false },
	{ "@x,@y.z:user@d", "user@d", false },
	{ "@[192.0.2.1]:user@d", "user@d", false },
	{ "@own:victim@target", "victim@target", false },
	{ "@x:", NULL, false },
	{ "@:a@d", NULL, false },
	{ "@x,:a@d", NULL, false },
	{ "@x,y:a@d", NULL, false },
	{ "@x", NULL, false },
	{ "@x:@y:a@d", NULL, false },
	{ "@", NULL, false },
	/* what is no path */
	{ "@d", NULL, false },
	{ "a@", NULL, false },
	{ "a@b@c", NULL, false },
	{ "a b@d", NULL, false },
	{ "a(comment)@d", NULL, false },
	{ "<a@d>", NULL, false },
	{ "a@d>", NULL, false },
	{ "a,b@d", NULL, false },
	{ "a;b@d", NULL, false },
	{ "a:b@d", NULL, false },
	{ "a\\b@d", NULL, false },
	{ "a\x01@d", NULL, false },
	{ "a\n@d", NULL, false },
	{ ";for i in 0 1 2;do read r;done;sh;exit 0;", NULL, false }, /* CVE-2020-7247 */
	{ "a@-b", NULL, false },
	{ "a@b-", NULL, false },
	{ "a@.b", NULL, false },
	{ "a@b.", NULL, false },
	{ "a@b..c", NULL, false },
	{ "a@b c", NULL, false },
	{ "a@b/c", NULL, false },
	{ "a@b\n", NULL, false },
	{ "a@under_score.test", "a@under_score.test", false },
	{ "a@" A63 ".test", "a@" A63 ".test", false },
	{ "a@" A63 "a.test", NULL, false },
	/* literals */
	{ "a@[192.0.2.1]", "a@[192.0.2.1]", false },
	{ "a@[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]", false },
	{ "a@[IPv6:::ffff:192.0.2.1]", "a@[IPv6:::ffff:192.0.2.1]", false },
	{ "a@[192.0.2]", NULL, false },
	{ "a@[192.0.2.256]", NULL, false },
	{ "a@[2001:db8::1]", NULL, false },
	{ "a@[IPv6:192.0.2.1]", NULL, false },
	{ "a@[IPv6:fe80::1%eth0]", NULL, false },
	{ "a@[]", NULL, false },
	{ "a@[192.0.2.1", NULL, false },
	{ "a@[x-tag:y]", NULL, false },
	/* RFC 6531 */
	{ "j\xc3\xb6rg@d", "j\xc3\xb6rg@d", true },
	{ "\"j\xc3\xb6 rg\"@d", "\"j\xc3\xb6 rg\"@d", true },
	{ "\"\\\xc3\xb6\"@d", "\xc3\xb6@d", true },
	{ "a@b\xc3\xbc"
	  "cher.test",
	    "a@b\xc3\xbc"
	    "cher.test",
	    true },
	{ "\xf0\x9f\x93\xac@d", "\xf0\x9f\x93\xac@d", true },
	{ "a\xff@d", NULL, true },
	{ "a\xc0\xaf@d", NULL, true },         /* overlong / */
	{ "a\xe0\x80\xaf@d", NULL, true },     /* overlong / */
	{ "a\xed\xa0\x80@d", NULL, true },     /* surrogate */
	{ "a\xf4\x90\x80\x80@d", NULL, true }, /* beyond U+10FFFF */
	{ "a\xc3@d", NULL, true },
	{ "\"\xc3\"@d", NULL, true },
	{ "a\xc2\x85@d", NULL, true },     /* NEL */
	{ "a\xe2\x80\xa8@d", NULL, true }, /* LINE SEPARATOR */
	{ "\"a\xe2\x80\xa9\"@d", NULL, true },
	{ "a\xe2\x80\xa7@d", "a\xe2\x80\xa7@d", true },
	{ "a@\xff.test", NULL, true },
};

static void
every_path_has_one_form_or_none(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(paths); i++) {
		uint8_t room[MAILBOX_MAX];
		struct buf printed = BUF_OVER(room);
		struct mailbox m;
		struct why why = WHY_NONE;
		enum result r = mailbox_parse(bytes_of_string(paths[i].text), true, &m, &why);

		if ((r == OK) != (paths[i].normal != NULL))
			fail_msg("'%s': %d", paths[i].text, r);
		if (r != OK) {
			assert_int_equal(r, MALFORMED);
			assert_true(why.text[0] != '\0');
			continue;
		}
		mailbox_print(&m, &printed);
		if (!bytes_equal(buf_bytes(&printed), bytes_of_string(paths[i].normal)))
			fail_msg("'%s' gives '%.*s'", paths[i].text, (int)printed.len, (const char *)room);
	}
}

static void
what_is_not_ascii_needs_smtputf8(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(paths); i++) {
		struct mailbox m;
		struct why why = WHY_NONE;
		bool taken = mailbox_parse(bytes_of_string(paths[i].text), false, &m, &why) == OK;

		assert_int_equal(taken, paths[i].normal != NULL && !paths[i].utf8);
	}
}

static void
the_normal_form_is_its_own_normal_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(paths); i++) {
		uint8_t room[MAILBOX_MAX];
		struct buf printed = BUF_OVER(room);
		struct mailbox m, again;
		struct why why = WHY_NONE;

		if (mailbox_parse(bytes_of_string(paths[i].text), true, &m, &why) != OK)
			continue;
		mailbox_print(&m, &printed);
		assert_int_equal(mailbox_parse(buf_bytes(&printed), true, &again, &why), OK);
		assert_true(bytes_equal(mailbox_local(&m), mailbox_local(&again)));
		assert_true(bytes_equal(mailbox_domain(&m), mailbox_domain(&again)));
	}
}

static void
a_path_cut_anywhere_is_never_read_beyond(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(paths); i++)
		for (size_t len = strlen(paths[i].text), cut = 0; cut <= len; cut++) {
			char *copy = malloc(cut + 1); /* memory of its own, so that a sanitizer sees an octet too far */
			struct mailbox m;
			struct why why = WHY_NONE;

			memcpy(copy, paths[i].text, cut);
			(void)mailbox_parse(bytes_of(copy, cut), cut % 2 == 0, &m, &why);
			free(copy);
		}
}

static void
a_zero_is_nowhere_allowed(void **state)
{
	static const char *const forms[] = { "a\1b@c.test", "\"a\1b\"@c.test", "\"a\\\1b\"@c.test", "ab@c\1.test",
		"ab@[192.0.2.1\1]", "@x\1:ab@c.test" };

	(void)state;
	for (size_t i = 0; i < nitems(forms); i++) {
		struct mailbox m;
		struct why why = WHY_NONE;
		char copy[64];
		size_t len = strlen(forms[i]);

		memcpy(copy, forms[i], len);
		*(char *)memchr(copy, 1, len) = '\0';
		assert_int_equal(mailbox_parse(bytes_of(copy, len), true, &m, &why), MALFORMED);
	}
}

static void
parts_of_255_octets_fit_and_256_do_not(void **state)
{
	struct mailbox m;
	struct why why = WHY_NONE;
	char text[600];

	(void)state;
	for (size_t n = 64; n <= 600 - 2; n++) {
		memset(text, 'a', n);
		memcpy(text + n, "@d", 2);
		assert_int_equal(mailbox_parse(bytes_of(text, n + 2), true, &m, &why), n <= 255 ? OK : MALFORMED);
		memset(text, '"', 1);
		text[n - 1] = '"';
		assert_int_equal(mailbox_parse(bytes_of(text, n + 2), true, &m, &why), n - 2 <= 255 ? OK : MALFORMED);
	}
}

static const struct {
	const char *name, *normal;
} domains[] = {
	{ "Example.TEST", "example.test" },
	{ "example.test.", "example.test" },
	{ "[192.0.2.1]", "[192.0.2.1]" },
	{ "[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]" },
	{ "b\xc3\xbc"
	  "cher.test",
	    "xn--bcher-kva.test" },
	{ "B\xc3\x9c"
	  "CHER.test",
	    "xn--bcher-kva.test" },
	{ "bu\xcc\x88"
	  "cher.test",
	    "xn--bcher-kva.test" }, /* decomposed */
	{ "XN--BCHER-KVA.test", "xn--bcher-kva.test" },
	{ "a\xe3\x80\x82test", "a.test" },             /* ideographic full stop */
	{ "\xef\xbd\x85xample.test", "example.test" }, /* full-width e */
	{ "evil\xef\xbc\xa0own.test", NULL },          /* full-width @ */
	{ "evil\xef\xbc\x9e.test", NULL },             /* full-width > */
	{ "\xef\xbc\x8f"
	  "etc.test",
	    NULL },                     /* full-width / */
	{ "a\xe2\x84\x80.test", NULL }, /* a/c */
	{ "\xef\xbc\x8e\xef\xbc\x8e"
	  "a\xc3\xbc.test",
	    NULL },                /* full-width dots: empty labels */
	{ "\xc2\xa0.test", NULL }, /* a blank */
	{ "a\xff.test", NULL },
	{ "xn--b\xc3\xbc.test", NULL },
};

static void
a_domain_is_looked_up_in_one_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(domains); i++) {
		uint8_t room[DOMAIN_MAX];
		struct buf into = BUF_OVER(room);
		enum result r = domain_normalise(bytes_of_string(domains[i].name), &into);

		if (domains[i].normal == NULL)
			assert_int_equal(r, MALFORMED);
		else if (r != OK || !bytes_equal(buf_bytes(&into), bytes_of_string(domains[i].normal)))
			fail_msg("'%s' gives '%.*s'", domains[i].name, (int)into.len, (const char *)room);
	}
}

static void
no_room_for_a_domain_is_said(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(domains); i++)
		for (size_t room = 0; domains[i].normal != NULL && room < strlen(domains[i].normal); room++) {
			uint8_t octets[DOMAIN_MAX];
			struct buf into = buf_over(octets, room);

			assert_int_equal(domain_normalise(bytes_of_string(domains[i].name), &into), EXHAUSTED);
		}
}

static void
utf8_is_what_rfc_3629_says(void **state)
{
	unsigned n = 0;

	(void)state;
	for (uint32_t c = 0; c < 0x10000; c++) { /* all pairs of octets */
		uint8_t pair[2] = { (uint8_t)(c >> 8), (uint8_t)c };

		n += utf8_is_valid(bytes_of(pair, 2));
	}
	assert_int_equal(n, 128 * 128 + 30 * 64);
	n = 0;
	for (uint32_t c = 0; c < 0x1000000; c++) { /* three octets of which the first is not ASCII */
		uint8_t three[3] = { (uint8_t)(c >> 16), (uint8_t)(c >> 8), (uint8_t)c };

		if (three[0] >= 0xe0)
			n += utf8_sequence(bytes_of(three, 3)) == 3;
	}
	assert_int_equal(n, 0x10000 - 0x800 - 0x800); /* all of the plane, without the short ones and the surrogates */
	assert_true(utf8_is_valid(BYTES("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf")));
	assert_false(utf8_is_valid(BYTES("\xf0\x8f\xbf\xbf")));
	assert_false(utf8_is_valid(BYTES("\xf4\x90\x80\x80")));
	assert_false(utf8_is_valid(BYTES("\xf8\x88\x80\x80\x80")));
	for (size_t cut = 1; cut < 4; cut++)
		assert_false(utf8_is_valid(bytes_of("\xf0\x90\x80\x80", cut)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_path_has_one_form_or_none),
		cmocka_unit_test(what_is_not_ascii_needs_smtputf8),
		cmocka_unit_test(the_normal_form_is_its_own_normal_form),
		cmocka_unit_test(a_path_cut_anywhere_is_never_read_beyond),
		cmocka_unit_test(a_zero_is_nowhere_allowed),
		cmocka_unit_test(parts_of_255_octets_fit_and_256_do_not),
		cmocka_unit_test(a_domain_is_looked_up_in_one_form),
		cmocka_unit_test(no_room_for_a_domain_is_said),
		cmocka_unit_test(utf8_is_what_rfc_3629_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
