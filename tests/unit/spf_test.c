/* SPF: records, macros, limits (RFC 7208), with names that come only when asked for a second time.
 * Trusts nothing of it: every answer is asserted.
 * Never asks a name server. */
#include "unit.h"

#include "net/spf.h"

#include <stdio.h>
#include <string.h>

/* What is in DNS here. MX: names with a space between; TXT: records with a | between. */
static const struct {
	const char *name;
	enum rs_type type;
	const char *value; /* null: the server fails */
} zone[] = {
	{ "pass.example.org", RS_TXT, "v=spf1 ip4:192.0.2.0/25 -all" },
	{ "other.example.org", RS_TXT, "google-site=x|v=spf1 ip4:192.0.2.128/25 ~all|v=spf10 all" },
	{ "neutral.example.org", RS_TXT, "v=spf1 ?all" },
	{ "open.example.org", RS_TXT, "v=spf1" },
	{ "two.example.org", RS_TXT, "v=spf1 all|v=spf1 -all" },
	{ "a.example.org", RS_TXT, "v=spf1 a -all" },
	{ "a.example.org", RS_A, "192.0.2.5" },
	{ "acidr.example.org", RS_TXT, "v=spf1 a:host.example.org/24//64 -all" },
	{ "host.example.org", RS_A, "192.0.2.77" },
	{ "mx.example.org", RS_TXT, "v=spf1 mx -all" },
	{ "mx.example.org", RS_MX, "one.example.org two.mx.example.org" },
	{ "one.example.org", RS_A, "198.51.100.1" },
	{ "two.mx.example.org", RS_A, "192.0.2.5" },
	{ "mxsix.example.org", RS_TXT, "v=spf1 mx ip6:2001:db8::/32 -all" },
	{ "mxsix.example.org", RS_MX, "one.example.org two.mx.example.org three.example.org four.example.org" },
	{ "include.example.org", RS_TXT, "v=spf1 include:fail.example.org include:pass.example.org -all" },
	{ "fail.example.org", RS_TXT, "v=spf1 -all" },
	{ "incnone.example.org", RS_TXT, "v=spf1 include:none.example.org ~all" },
	{ "redirect.example.org", RS_TXT, "v=spf1 redirect=pass.example.org" },
	{ "rednone.example.org", RS_TXT, "v=spf1 redirect=none.example.org" },
	{ "loop.example.org", RS_TXT, "v=spf1 include:loop.example.org -all" },
	{ "redloop.example.org", RS_TXT, "v=spf1 redirect=redloop.example.org" },
	{ "exists.example.org", RS_TXT, "v=spf1 exists:%{ir}.%{l1r+-}._spf.%{d2} -all" },
	{ "5.2.0.192.joe._spf.example.org", RS_A, "127.0.0.2" },
	{ "voids.example.org", RS_TXT, "v=spf1 a:x1.example.org a:x2.example.org a:x3.example.org ip4:192.0.2.5 -all" },
	{ "void2.example.org", RS_TXT, "v=spf1 a:x1.example.org a:x2.example.org ip4:192.0.2.5 -all" },
	{ "terms.example.org", RS_TXT,
	    "v=spf1 a:one.example.org a:one.example.org a:one.example.org a:one.example.org a:one.example.org "
	    "a:one.example.org a:one.example.org a:one.example.org a:one.example.org a:one.example.org "
	    "a:host.example.org ip4:192.0.2.5 -all" },
	{ "broken.example.org", RS_TXT, "v=spf1 ip4:192.0.2.5 ip4:192.0.2 -all" },
	{ "unknown.example.org", RS_TXT, "v=spf1 ip4:192.0.2.5 foo:bar -all" },
	{ "modifier.example.org", RS_TXT, "v=spf1 foo=bar exp=why.example.org ip4:192.0.2.5 -all" },
	{ "redtwice.example.org", RS_TXT, "v=spf1 redirect=a.example.org redirect=a.example.org" },
	{ "macro.example.org", RS_TXT, "v=spf1 exists:%{x}.example.org -all" },
	{ "silent.example.org", RS_TXT, NULL },
	{ "silenta.example.org", RS_TXT, "v=spf1 a:silent2.example.org -all" },
	{ "silent2.example.org", RS_A, NULL },
	{ "ptr.example.org", RS_TXT, "v=spf1 ptr:peer.example.net -all" },
	{ "six.example.org", RS_TXT, "v=spf1 ip6:2001:db8::/32 -all" },
	{ "percent.example.org", RS_TXT, "v=spf1 a:%% a:x.%_ a:%{d}%- ip4:192.0.2.5 -all" },
	{ "upper.example.org", RS_TXT, "V=SPF1 IP4:192.0.2.5 -ALL" },
};

struct known {
	size_t n;
	struct {
		char name[256];
		enum rs_type type;
	} asked[64];
	uint8_t octets[64][512];
};

static void
put_records(struct buf *out, enum rs_type type, const char *value)
{
	struct bytes rest = bytes_of_string(value), one;

	while (bytes_split(&rest, type == RS_TXT ? '|' : ' ', &one)) {
		uint8_t room[256];
		struct buf record = BUF_OVER(room);
		unsigned a[4];

		if (type == RS_MX)
			buf_add(&record, bytes_of("\0\12", 2));
		if (type == RS_A) {
			assert_int_equal(sscanf((const char *)one.at, "%u.%u.%u.%u", &a[0], &a[1], &a[2], &a[3]), 4);
			for (size_t i = 0; i < 4; i++)
				buf_add_octet(&record, (uint8_t)a[i]);
		} else
			buf_add(&record, one);
		wire_put(out, buf_bytes(&record));
	}
}

static enum result
look_up(void *ctx, enum rs_type type, struct bytes name, struct spf_answer *a)
{
	struct known *k = ctx;
	size_t i = 0;

	while (i < k->n && (k->asked[i].type != type || !bytes_equal(bytes_of_string(k->asked[i].name), name)))
		i++;
	if (i == k->n) {
		assert_true(k->n < nitems(k->asked) && name.len < sizeof k->asked[i].name);
		(void)snprintf(k->asked[i].name, sizeof k->asked[i].name, "%.*s", (int)name.len, (const char *)name.at);
		k->asked[i].type = type;
		k->n++;
		return AGAIN;
	}
	a->outcome = RS_NO_NAME;
	for (size_t z = 0; z < nitems(zone); z++)
		if (zone[z].type == type && bytes_equal_nocase(bytes_of_string(zone[z].name), name)) {
			struct buf out = BUF_OVER(k->octets[i]);

			a->outcome = zone[z].value == NULL ? RS_FAILED : RS_FOUND;
			if (zone[z].value != NULL)
				put_records(&out, type, zone[z].value);
			a->records = buf_bytes(&out);
		}
	return OK;
}

static const uint8_t peer[4] = { 192, 0, 2, 5 }, peer6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 0xcb };

static enum spf_result
checked(struct spf_query q, const char *rules)
{
	static struct known k;
	enum spf_result found = SPF_NONE;

	k.n = 0;
	for (int i = 0; i < 80; i++) {
		enum result r = spf_check(&q, look_up, &k, bytes_of_string(rules), &found);

		if (r == OK)
			return found;
		assert_int_equal(r, AGAIN);
	}
	fail_msg("it never ends");
	return found;
}

static struct spf_query
query(const char *domain)
{
	return (struct spf_query){ .address = peer,
		.address_len = 4,
		.local = BYTES("joe-list"),
		.domain = bytes_of_string(domain),
		.helo = BYTES("h.example.org"),
		.receiver = BYTES("mx.example.net"),
		.now_s = 5 };
}

static void
records_say_who_may_send(void **state)
{
	static const struct {
		const char *domain;
		enum spf_result found;
	} cases[] = {
		{ "pass.example.org", SPF_PASS },
		{ "other.example.org", SPF_SOFTFAIL },
		{ "neutral.example.org", SPF_NEUTRAL },
		{ "open.example.org", SPF_NEUTRAL },
		{ "none.example.org", SPF_NONE },
		{ "localhost", SPF_NONE },
		{ "", SPF_NONE },
		{ "two.example.org", SPF_PERMERROR },
		{ "a.example.org", SPF_PASS },
		{ "acidr.example.org", SPF_PASS },
		{ "mx.example.org", SPF_PASS },
		{ "include.example.org", SPF_PASS },
		{ "incnone.example.org", SPF_PERMERROR },
		{ "redirect.example.org", SPF_PASS },
		{ "rednone.example.org", SPF_PERMERROR },
		{ "loop.example.org", SPF_PERMERROR },
		{ "redloop.example.org", SPF_PERMERROR },
		{ "exists.example.org", SPF_PASS },
		{ "voids.example.org", SPF_PERMERROR },
		{ "void2.example.org", SPF_PASS },
		{ "terms.example.org", SPF_PERMERROR },
		{ "broken.example.org", SPF_PERMERROR },
		{ "unknown.example.org", SPF_PERMERROR },
		{ "modifier.example.org", SPF_PASS },
		{ "redtwice.example.org", SPF_PERMERROR },
		{ "macro.example.org", SPF_PERMERROR },
		{ "silent.example.org", SPF_TEMPERROR },
		{ "silenta.example.org", SPF_TEMPERROR },
		{ "ptr.example.org", SPF_FAIL },
		{ "six.example.org", SPF_FAIL },
		{ "percent.example.org", SPF_PERMERROR }, /* three names that are not there */
		{ "upper.example.org", SPF_PASS },
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		enum spf_result found = checked(query(cases[i].domain), "");

		if (found != cases[i].found)
			fail_msg("%s: %s", cases[i].domain, spf_name(found));
	}
}

static void
what_is_known_of_the_peer_counts(void **state)
{
	struct spf_query q = query("ptr.example.org");

	(void)state;
	q.host = BYTES("a.peer.example.net");
	assert_int_equal(checked(q, ""), SPF_PASS);
	q.host = BYTES("notpeer.example.net");
	assert_int_equal(checked(q, ""), SPF_FAIL);
	q = query("six.example.org");
	q.address = peer6;
	q.address_len = 16;
	assert_int_equal(checked(q, ""), SPF_PASS);
}

static void
mail_hosts_without_an_address_of_the_clients_family_break_no_record(void **state)
{
	struct spf_query q = query("mxsix.example.org");

	(void)state;
	q.address = peer6;
	q.address_len = 16;
	assert_int_equal(checked(q, ""), SPF_PASS);
}

static void
an_administrator_s_rules_let_pass_what_a_record_does_not(void **state)
{
	(void)state;
	assert_int_equal(checked(query("fail.example.org"), "ip4:192.0.2.5"), SPF_PASS);
	assert_int_equal(checked(query("none.example.org"), "include:pass.example.org"), SPF_PASS);
	assert_int_equal(checked(query("fail.example.org"), "ip4:192.0.2.6"), SPF_FAIL);
	assert_int_equal(checked(query("fail.example.org"), "nonsense:"), SPF_FAIL);
	assert_int_equal(checked(query("silent.example.org"), "ip4:192.0.2.5"), SPF_TEMPERROR);
}

/* RFC 7208 7.4 */
static void
macros_are_expanded(void **state)
{
	static const uint8_t address[4] = { 192, 0, 2, 3 }, address6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 0xcb };
	static const struct {
		const char *text, *expanded;
	} cases[] = {
		{ "%{s}", "strong-bad@email.example.com" },
		{ "%{o}", "email.example.com" },
		{ "%{d4}", "email.example.com" },
		{ "%{d2}", "example.com" },
		{ "%{d1}", "com" },
		{ "%{dr}", "com.example.email" },
		{ "%{d2r}", "example.email" },
		{ "%{l}", "strong-bad" },
		{ "%{l-}", "strong.bad" },
		{ "%{lr-}", "bad.strong" },
		{ "%{l1r-}", "strong" },
		{ "%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com" },
		{ "%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com" },
		{ "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com" },
		{ "%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net" },
		{ "%{S}%%%_%-", "strong-bad%40email.example.com% %20" },
		{ "%{p}", "unknown" },
	};
	static const char *const bad[] = { "%", "%x", "%{", "%{s", "%{}", "%{y}", "%{d0}", "%{d2x}", "%{c}",
		"%{d999}" };
	struct spf_query q = { .address = address,
		.address_len = 4,
		.local = BYTES("strong-bad"),
		.domain = BYTES("email.example.com"),
		.helo = BYTES("h.example.org"),
		.receiver = BYTES("mx.example.net") };
	uint8_t room[300];

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct buf out = BUF_OVER(room);

		assert_true(spf_expand(&q, q.domain, bytes_of_string(cases[i].text), false, &out));
		if (!bytes_equal(buf_bytes(&out), bytes_of_string(cases[i].expanded)))
			fail_msg("%s: %.*s", cases[i].text, (int)out.len, (const char *)out.at);
	}
	for (size_t i = 0; i < nitems(bad); i++) {
		struct buf out = BUF_OVER(room);

		assert_false(spf_expand(&q, q.domain, bytes_of_string(bad[i]), false, &out));
	}
	q.address = address6;
	q.address_len = 16;
	{
		struct buf out = BUF_OVER(room);

		assert_true(spf_expand(&q, q.domain, BYTES("%{ir}.%{v}._spf.%{d2}"), false, &out));
		assert_true(bytes_equal(buf_bytes(&out),
		    BYTES("b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com")));
	}
}

static void
a_record_cut_anywhere_is_none_or_sound_or_refused(void **state)
{
	static const char whole[] =
	    "v=spf1 a:%{ir}.x.example/24//64 -mx/0 ?ip6:2001:db8::/32 ~exists:%{l1r-}.%{d2} redirect=a.example";

	(void)state;
	for (size_t n = 0; n < sizeof whole; n++) {
		struct bytes terms;
		struct spf_term t;
		enum result r = OK;

		if (!spf_is_record(bytes_of(whole, n), &terms))
			continue;
		while (r == OK)
			r = spf_next_term(&terms, &t);
		assert_true(r == ABSENT || r == MALFORMED);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_say_who_may_send),
		cmocka_unit_test(what_is_known_of_the_peer_counts),
		cmocka_unit_test(mail_hosts_without_an_address_of_the_clients_family_break_no_record),
		cmocka_unit_test(an_administrator_s_rules_let_pass_what_a_record_does_not),
		cmocka_unit_test(macros_are_expanded),
		cmocka_unit_test(a_record_cut_anywhere_is_none_or_sound_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
