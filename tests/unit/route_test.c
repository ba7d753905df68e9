/* Routes, TLS policies and client certificates: what each line means, which line counts, which line is none.
 * Trusts lib/control only as far as it asserts.
 * Never leaves its private directory. */
#include "unit.h"

#include "control/route.h"
#include "control/tls_policy.h"
#include "control_dir.h"

#include <stdio.h>
#include <string.h>

static void
open_with(const char *file, const char *text)
{
	struct why why = WHY_NONE;

	dir_put(&dir, file, text);
	assert_int_equal(dir_open(&dir, "send", &control, &why), OK);
}

static void
refused(const char *file, const char *text, const char *expected)
{
	struct why why = WHY_NONE;

	dir_put(&dir, file, text);
	assert_int_equal(dir_open(&dir, "send", &control, &why), MALFORMED);
	assert_non_null(strstr(why.text, expected));
	assert_non_null(strstr(why.text, ":1: "));
	dir_put(&dir, file, NULL);
}

/* "relay port user password" with - for nothing, q for QMTP, ! for a password without TLS */
static const char *
shown(const char *sender, const char *domain)
{
	static char text[300];
	struct mail_route r;

	assert_int_equal(route_find(&control, bytes_of_string(sender), bytes_of_string(domain), &r), OK);
	(void)snprintf(text, sizeof text, "%s%s%.*s %u %.*s %.*s", r.qmtp ? "q" : "", r.without_tls ? "!" : "",
	    (int)r.relay.len, (const char *)r.relay.at, r.port, (int)r.user.len, (const char *)r.user.at,
	    (int)r.password.len, (const char *)r.password.at);
	return text;
}

static void
smtproutes(void **state)
{
	(void)state;
	open_with("smtproutes",
	    "a.test:relay.test\nb.test:relay.test:26\nc.test:relay.test;27|joe|pass|word\nd.test:[2001:db8::1]:28\n"
	    "e.test:2001:db8::2\nf.test:192.0.2.1;29\n.sub.test:sub-relay.test\nfree.sub.test:\n!@:bounces.test\n"
	    "g.test:!relay.test|u|p\nh.test:[192.0.2.7]\nb\xc3\xbc"
	    "cher.test:idn.test\n:rest.test:2525\n");
	assert_string_equal(dir.said, "");
	assert_string_equal(shown("x@y.test", "a.test"), "relay.test 0  ");
	assert_string_equal(shown("x@y.test", "A.Test"), "relay.test 0  ");
	assert_string_equal(shown("x@y.test", "b.test"), "relay.test 26  ");
	assert_string_equal(shown("x@y.test", "c.test"), "relay.test 27 joe pass|word");
	assert_string_equal(shown("x@y.test", "d.test"), "2001:db8::1 28  ");
	assert_string_equal(shown("x@y.test", "e.test"), "2001:db8::2 0  ");
	assert_string_equal(shown("x@y.test", "f.test"), "192.0.2.1 29  ");
	assert_string_equal(shown("x@y.test", "g.test"), "!relay.test 0 u p");
	assert_string_equal(shown("x@y.test", "h.test"), "192.0.2.7 0  ");
	assert_string_equal(shown("x@y.test", "x.sub.test"), "sub-relay.test 0  ");
	assert_string_equal(shown("x@y.test", "free.sub.test"), " 0  ");
	assert_string_equal(shown("x@y.test", "sub.test"), "rest.test 2525  ");
	assert_string_equal(shown("x@y.test", "xn--bcher-kva.test"), "idn.test 0  ");
	assert_string_equal(shown("", "a.test"), "bounces.test 0  ");
	dir_close(&control);
	dir_put(&dir, "smtproutes", NULL);
}

static void
precedence(void **state)
{
	(void)state;
	dir_put(&dir, "smtproutes", "host.part.test:smtp-host.test\n.test:smtp-all.test\n");
	dir_put(&dir, "qmtproutes", ".part.test:qmtp.test;210\n!@:qmtp-bounce.test\n");
	open_with("authsenders",
	    "joe@one.test:joe-relay.test|joe|pw\n@one.test:one-relay.test\n.two.test:two-relay.test;587\nnone@one.test:"
	    "\n");
	assert_string_equal(shown("x@y.test", "host.part.test"), "smtp-host.test 0  ");
	assert_string_equal(shown("x@y.test", "other.part.test"), "qqmtp.test 210  ");
	assert_string_equal(shown("x@y.test", "x.test"), "smtp-all.test 0  ");
	assert_string_equal(shown("x@y.test", "x.example"), " 0  ");
	assert_string_equal(shown("joe@one.test", "host.part.test"), "joe-relay.test 0 joe pw");
	assert_string_equal(shown("Joe@One.Test", "x.test"), "joe-relay.test 0 joe pw");
	assert_string_equal(shown("ann@one.test", "x.test"), "one-relay.test 0  ");
	assert_string_equal(shown("ann@a.two.test", "x.test"), "two-relay.test 587  ");
	assert_string_equal(shown("none@one.test", "x.test"), "smtp-all.test 0  ");
	assert_string_equal(shown("", "host.part.test"), "qqmtp-bounce.test 0  ");
	dir_close(&control);
	dir_put(&dir, "authsenders", NULL);
	dir_put(&dir, "smtproutes", NULL);
	dir_put(&dir, "qmtproutes", NULL);
}

static void
lines_that_are_no_routes(void **state)
{
	static const char *const lines[] = { "a.test", "a.test:relay test", "a.test:relay.test;", "a.test:relay.test;0",
		"a.test:relay.test;65536", "a.test:relay.test:26:27", "a.test:[::1", "a.test:[::1]x", "a.test:;25",
		"a.test:relay;1|u", "a.test:|u|p", "a test:relay", "a..test:relay", "a.test:!", "a.test:!!relay",
		"@a.test:relay", "a.test:relay.test;25;26" };

	(void)state;
	for (size_t i = 0; i < nitems(lines); i++)
		refused("smtproutes", lines[i], "smtproutes:1: ");
	refused("authsenders", "joe:relay.test", "authsenders");
	refused("authsenders", "joe@:relay.test", "authsenders");
	refused("domainips", "a.test:localhost", "domainips");
	refused("domainips", ":192.0.2.1", "domainips");
	refused("domaincerts", "a.test:cert.pem", "absolute paths");
	refused("domaincerts", "a.test:/c.pem|key.pem", "absolute paths");
}

static void
by_sender(void **state)
{
	struct local_side l;
	struct bytes cert, rest;

	(void)state;
	dir_put(&dir, "domainips", "one.test:192.0.2.5|mail.one.test\n.one.test:2001:db8::5%eth0\n*:192.0.2.6\n");
	open_with("domaincerts", "one.test:/etc/one.pem|/etc/one.key|secret phrase\n.one.test:/etc/sub.pem\n");
	assert_non_null(strstr(dir.said, "domainips:2: "));
	assert_int_equal(route_local_side(&control, BYTES("a@one.test"), &l), OK);
	assert_true(bytes_equal(l.address, BYTES("192.0.2.5")) && bytes_equal(l.helo, BYTES("mail.one.test")));
	assert_int_equal(route_local_side(&control, BYTES("a@b.one.test"), &l), OK);
	assert_true(bytes_equal(l.address, BYTES("2001:db8::5")) && l.helo.len == 0);
	assert_int_equal(route_local_side(&control, BYTES(""), &l), OK);
	assert_true(bytes_equal(l.address, BYTES("192.0.2.6")));
	assert_int_equal(route_certificate(&control, BYTES("a@one.test"), &cert), OK);
	assert_true(bytes_equal(cert, BYTES("/etc/one.pem")));
	assert_int_equal(route_certificate(&control, BYTES("a@x.one.test"), &cert), OK);
	assert_true(bytes_equal(cert, BYTES("/etc/sub.pem")));
	assert_int_equal(route_certificate(&control, BYTES("a@two.test"), &cert), OK);
	assert_int_equal(cert.len, 0);
	rest = control_lines(&control, ITEM_DOMAINCERTS);
	assert_int_equal(rest.len, 0); /* the passphrase is for nobody's snapshot */
	dir_close(&control);
	dir_put(&dir, "domainips", NULL);
	dir_put(&dir, "domaincerts", NULL);
}

/* ---- tlsdestinations ---- */

static const char *
policy(const char *host, const char *sender_domain)
{
	static const char *const modes[] = { "never", "opportunistic", "certificate", "mandatory", "ca", "wildcard",
		"name", "pin" };
	static char text[400];
	struct tls_policy p;

	assert_int_equal(tls_policy_find(&control, bytes_of_string(host), bytes_of_string(sender_domain), &p), OK);
	(void)snprintf(text, sizeof text, "%s%s ca=%.*s ciphers=%.*s depth=%u port=%u pin=%u",
	    p.by_line ? "" : "(none) ", modes[p.mode], (int)p.ca.len, (const char *)p.ca.at, (int)p.ciphers.len,
	    (const char *)p.ciphers.at, p.depth, p.port, p.pin_len);
	return text;
}

static void
assert_mode(const char *host, const char *mode)
{
	const char *is = policy(host, "");

	if (strncmp(is, mode, strlen(mode)) != 0)
		fail_msg("%s: %s, not %s", host, is, mode);
}

static void
triggers(void **state)
{
	(void)state;
	open_with("tlsdestinations",
	    "!never.test:\n!.nosub.test:\n%pin.test:=0123456789abcdef0123456789ABCDEF01234567\n=exact.test:\n~wild."
	    "test:\n~.wilds.test:\n"
	    "ca.test:\n.cas.test:\n-anon.test:\n-.anons.test:\n*:\n");
	assert_string_equal(dir.said, "");
	assert_mode("never.test", "never");
	assert_mode("a.nosub.test", "never");
	assert_mode("pin.test", "pin");
	assert_mode("exact.test", "name");
	assert_mode("a.exact.test", "certificate");
	assert_mode("wild.test", "wildcard");
	assert_mode("a.b.wilds.test", "wildcard");
	assert_mode("ca.test", "ca");
	assert_mode("x.ca.test", "certificate");
	assert_mode("x.cas.test", "ca");
	assert_mode("cas.test", "certificate");
	assert_mode("anon.test", "mandatory");
	assert_mode("q.anons.test", "mandatory");
	assert_mode("other.test", "certificate");
	dir_close(&control);
}

static void
precedence_of_triggers(void **state)
{
	/* each line of the table alone among those that follow it */
	static const char *const lines[] = { "!h.test:", "!.test:", "!:",
		"%h.test:=0123456789012345678901234567890123456789",
		"=h.test:", "~h.test:", "~.test:", "~:", "h.test:", ".test:", ":",
		"-h.test:", "-.test:", "=*:", "~*:", "+*:", "-*:", "*:", "-:" };
	static const char *const modes[] = { "never", "never", "never", "pin", "name", "wildcard", "wildcard",
		"wildcard", "ca", "ca", "ca", "mandatory", "mandatory", "name", "wildcard", "ca", "mandatory",
		"certificate", "opportunistic" };

	(void)state;
	for (size_t i = 0; i < nitems(lines); i++) {
		char text[1000] = "";

		for (size_t k = nitems(lines); k-- > i;)
			(void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s\n", lines[k]);
		open_with("tlsdestinations", text);
		assert_mode("h.test", modes[i]);
		dir_close(&control);
	}
	open_with("tlsdestinations", "a.test:\n");
	assert_string_equal(policy("h.test", ""), "(none) never ca= ciphers= depth=0 port=0 pin=0");
	dir_close(&control);
	open_with("tlsdestinations", "# nothing\n");
	assert_string_equal(policy("h.test", ""), "(none) opportunistic ca= ciphers= depth=0 port=0 pin=0");
	dir_close(&control);
}

static void
values(void **state)
{
	static const char *const cases[][2] = {
		{ "h.test:/etc/ssl/cafile||!SSLv2:HIGH",
		    "ca ca=/etc/ssl/cafile ciphers=!SSLv2:HIGH depth=0 port=0 pin=0" },
		{ "h.test:/etc/ssl/cafile|!SSLv2:HIGH|3;465",
		    "ca ca=/etc/ssl/cafile ciphers=!SSLv2:HIGH depth=3 port=465 pin=0" },
		{ "h.test:/etc/ssl/certdir/|3:465", "ca ca=/etc/ssl/certdir/ ciphers= depth=3 port=465 pin=0" },
		{ "h.test:/etc/ssl/ca|3;465|HIGH", "ca ca=/etc/ssl/ca ciphers=HIGH depth=3 port=465 pin=0" },
		{ "=h.test:/etc/ssl/cacert|4", "name ca=/etc/ssl/cacert ciphers= depth=4 port=0 pin=0" },
		{ "-h.test:|aNULL:!kRSA", "mandatory ca= ciphers=aNULL:!kRSA depth=0 port=0 pin=0" },
		{ "h.test:||:35", "ca ca= ciphers= depth=0 port=35 pin=0" },
		{ "h.test:|:35", "ca ca= ciphers= depth=0 port=35 pin=0" },
		{ "h.test:;35", "ca ca= ciphers= depth=0 port=35 pin=0" },
		{ "h.test:/etc/ca.pem;35", "ca ca=/etc/ca.pem ciphers= depth=0 port=35 pin=0" },
		{ "h.test:=0123456789012345678901234567890123456789012345678901234567890123",
		    "pin ca= ciphers= depth=0 port=0 pin=32" },
		{ "-h.test:=01234567890123456789012345678901234567890123456789012345;26",
		    "pin ca= ciphers= depth=0 port=26 pin=28" },
		{ "h.test:|ECDHE+AESGCM:@SECLEVEL=2", "ca ca= ciphers=ECDHE+AESGCM:@SECLEVEL=2 depth=0 port=0 pin=0" },
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		open_with("tlsdestinations", cases[i][0]);
		assert_string_equal(policy("h.test", ""), cases[i][1]);
		dir_close(&control);
	}
}

static void
senders(void **state)
{
	(void)state;
	open_with("tlsdestinations", "h.test:/etc/ssl/partnerca|1:26|mydomain.net\n-h.test:\n*:|HIGH|other.net\n");
	assert_string_equal(
	    policy("h.test", "mydomain.net"), "ca ca=/etc/ssl/partnerca ciphers= depth=1 port=26 pin=0");
	assert_string_equal(
	    policy("h.test", "MyDomain.net"), "ca ca=/etc/ssl/partnerca ciphers= depth=1 port=26 pin=0");
	assert_string_equal(policy("h.test", "x.test"), "mandatory ca= ciphers= depth=0 port=0 pin=0");
	assert_string_equal(policy("q.test", "other.net"), "certificate ca= ciphers=HIGH depth=0 port=0 pin=0");
	assert_string_equal(policy("q.test", "x.test"), "(none) never ca= ciphers= depth=0 port=0 pin=0");
	dir_close(&control);
}

static void
lines_that_are_no_policies(void **state)
{
	static const char *const lines[] = { "h.test", "=:", "%h.test:", "=.h.test:", "h..test:", "h.test:=0123",
		"h.test:=zz23456789012345678901234567890123456789", "h.test:cafile.pem", "h.test:/a|/b", "h.test:|3|4",
		"h.test:|;0", "h.test:|;70000", "h.test:/a;25|:26", "h.test:|a b", "h.test:|HIGH|LOW",
		"h.test:|a.net|b.net", "?h.test:", "h.test:|101" };

	(void)state;
	for (size_t i = 0; i < nitems(lines); i++)
		refused("tlsdestinations", lines[i], "tlsdestinations:1: ");
}

static void
words_of_dane(void **state)
{
	(void)state;
	open_with("dane", "after\n");
	assert_true(bytes_equal(control_text(&control, ITEM_DANE), BYTES("after")));
	dir_close(&control);
	refused("dane", "sometimes", "off, first or after");
	refused("dane", "First", "off, first or after");
}

static void
mechanisms_of_relays(void **state)
{
	(void)state;
	open_with("dane", "after\n");
	assert_int_equal(relay_mechanisms_of(control_text(&control, ITEM_RELAYMECHANISMS)), 15);
	dir_close(&control);
	open_with("relaymechanisms", "PLAIN  scram-sha-256\n");
	assert_int_equal(relay_mechanisms_of(control_text(&control, ITEM_RELAYMECHANISMS)),
	    1 << RELAY_PLAIN | 1 << RELAY_SCRAM_SHA_256);
	dir_close(&control);
	refused("relaymechanisms", "NTLM", "one or more of SCRAM-SHA-256");
	refused("relaymechanisms", "PLAIN,LOGIN", "one or more of SCRAM-SHA-256");
	assert_int_equal(relay_mechanisms_of(BYTES("")), 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(smtproutes, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(precedence, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(lines_that_are_no_routes, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(by_sender, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(triggers, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(precedence_of_triggers, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(values, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(senders, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(lines_that_are_no_policies, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(words_of_dane, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(mechanisms_of_relays, dir_set_up, dir_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
