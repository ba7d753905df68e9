/* Replies of servers, EHLO offers, MX order, base64. */
#include "base/base64.h"
#include "net/mx.h"
#include "net/smtp_reply.h"
#include "unit.h"
#include "wire/wire.h"

#include <stdio.h>
#include <string.h>

static enum result
feed(struct smtp_reply *r, const char *line)
{
	struct bytes text;

	return smtp_reply_line(r, bytes_of_string(line), &text);
}

static void
assert_enhanced(const struct smtp_reply *r, unsigned class, unsigned subject, unsigned detail)
{
	assert_int_equal(r->enhanced[0], class);
	assert_int_equal(r->enhanced[1], subject);
	assert_int_equal(r->enhanced[2], detail);
}

static void
one_line(void **state)
{
	struct smtp_reply r = SMTP_REPLY_NONE;

	(void)state;
	assert_int_equal(feed(&r, "250 2.1.5 fine"), OK);
	assert_int_equal(r.code, 250);
	assert_enhanced(&r, 2, 1, 5);
	assert_string_equal(r.text, "250 2.1.5 fine");
	r = SMTP_REPLY_NONE;
	assert_int_equal(feed(&r, "550"), OK);
	assert_string_equal(r.text, "550");
	r = SMTP_REPLY_NONE;
	assert_int_equal(feed(&r, "550 2.1.5 of another class"), OK);
	assert_enhanced(&r, 0, 0, 0);
	r = SMTP_REPLY_NONE;
	assert_int_equal(feed(&r, "550 5.1.1000 too large"), OK);
	assert_enhanced(&r, 0, 0, 0);
}

static void
several_lines(void **state)
{
	struct smtp_reply r = SMTP_REPLY_NONE;

	(void)state;
	assert_int_equal(feed(&r, "451-4.7.1 come"), AGAIN);
	assert_int_equal(feed(&r, "451-4.7.1 back\tlater\x01"), AGAIN);
	assert_int_equal(feed(&r, "451 "), OK);
	assert_string_equal(r.text, "451-4.7.1 come 4.7.1 back later  ");
}

static void
details_of_three_digits_are_kept(void **state)
{
	struct smtp_reply r = SMTP_REPLY_NONE;

	(void)state;
	assert_int_equal(feed(&r, "550 5.7.509 Access denied"), OK);
	assert_enhanced(&r, 5, 7, 509);
	r = SMTP_REPLY_NONE;
	assert_int_equal(feed(&r, "451 4.255.999 x"), OK);
	assert_enhanced(&r, 4, 255, 999);
	r = SMTP_REPLY_NONE;
	assert_int_equal(feed(&r, "451 4.7.0509 x"), OK);
	assert_enhanced(&r, 0, 0, 0);
}

/* What came of lines, joined by |, as "code class.subject.detail text"; "…" where more is waited for, "-" where it is refused. */
static const char *
told(const char *lines)
{
	static char said[1200];
	struct smtp_reply r = SMTP_REPLY_NONE;
	struct bytes rest = bytes_of_string(lines), line, text;
	enum result result = AGAIN;

	while (result == AGAIN && rest.at != NULL && bytes_split(&rest, '|', &line))
		result = smtp_reply_line(&r, line, &text);
	if (result != OK)
		return result == AGAIN ? "…" : "-";
	assert_null(rest.at); /* no line is left over */
	(void)snprintf(
	    said, sizeof said, "%u %u.%u.%u %s", r.code, r.enhanced[0], r.enhanced[1], r.enhanced[2], r.text);
	return said;
}

static void
an_odd_octet_makes_a_reply_no_other_than_it_is(void **state)
{
	static const char *const rows[][2] = {
		{ "250", "250 0.0.0 250" },
		{ "250 ", "250 0.0.0 250 " },
		{ "250\tok", "250 0.0.0 250 ok" },
		{ "250_ok", "250 0.0.0 250_ok" },
		{ "250x", "250 0.0.0 250x" },
		{ "250:2.0.0 ok", "250 2.0.0 250:2.0.0 ok" },
		{ "  250 ok", "250 0.0.0 250 ok" },
		{ "\t\r250 2.1.5 ok\r", "250 2.1.5 250 2.1.5 ok " },
		{ "250 caf\xe9", "250 0.0.0 250 caf\xe9" },
		/* lines without a code before, between, behind a hyphen */
		{ "250-a|and more|250 b", "250 0.0.0 250-a and more b" },
		{ "250-a||250 b", "250 0.0.0 250-a b" },
		{ "warning: disk|250 2.0.0 queued", "250 2.0.0 250 warning: disk 2.0.0 queued" },
		{ "999 x|199 y|25 z|2500 zz|250 ok", "250 0.0.0 250 999 x 199 y 25 z 2500 zz ok" },
		{ "25\xb2 x|550 no", "550 0.0.0 550 25\xb2 x no" },
		/* codes that differ: the last line's counts */
		{ "250-a|550 5.7.1 b", "550 5.7.1 550-a 5.7.1 b" },
		{ "550-5.7.1 a|250 b", "250 0.0.0 250-5.7.1 a b" },
		{ "250-a|251 b", "251 0.0.0 251-a b" },
		{ "550-a|550 5.1.1 b", "550 5.1.1 550-a 5.1.1 b" },
		/* not whole */
		{ "", "…" },
		{ "hello", "…" },
		{ "250-", "…" },
		{ "250-a|b", "…" },
		{ "2 50|-250 a", "…" },
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++)
		assert_string_equal(told(rows[i][0]), rows[i][1]);
}

static void
a_reply_cut_anywhere_is_not_whole_or_is_the_same(void **state)
{
	static const char whole[] = "warning|250-2.0.0 a|odd|250 b";

	(void)state;
	for (size_t n = 0; n < sizeof whole - 1; n++) {
		char part[sizeof whole] = "";

		memcpy(part, whole, n);
		if (n == sizeof "warning|250" - 1) /* a code alone is a reply */
			assert_string_equal(told(part), "250 0.0.0 250 warning ");
		else
			assert_true((n + 2 < sizeof whole - 1) == (strcmp(told(part), "…") == 0));
	}
}

static void
a_text_that_is_full_keeps_its_code(void **state)
{
	struct smtp_reply r = SMTP_REPLY_NONE;
	static char line[SMTP_REPLY_LINE_MAX + 1];

	(void)state;
	memset(line, 'x', sizeof line - 1);
	assert_int_equal(feed(&r, line), AGAIN);
	assert_int_equal(feed(&r, "550 5.1.1 no"), OK);
	assert_int_equal(strlen(r.text), SMTP_REPLY_TEXT_MAX);
	assert_memory_equal(r.text, "550 xxx", 7);
	assert_true(smtp_reply_words(&r).len == SMTP_REPLY_TEXT_MAX - 4);
	assert_enhanced(&r, 5, 1, 1);
}

static void
bounds(void **state)
{
	struct smtp_reply r = SMTP_REPLY_NONE;
	static char line[SMTP_REPLY_LINE_MAX + 2];
	unsigned n = 0;

	(void)state;
	memset(line, 'x', sizeof line - 1);
	memcpy(line, "250-", 4);
	assert_int_equal(feed(&r, line), MALFORMED);
	line[SMTP_REPLY_LINE_MAX] = '\0';
	r = SMTP_REPLY_NONE;
	while (feed(&r, line) == AGAIN)
		n++;
	assert_int_equal(n, SMTP_REPLY_LINES_MAX);
	assert_int_equal(strlen(r.text), SMTP_REPLY_TEXT_MAX);
}

static void
offers(void **state)
{
	static const char *const lines[] = { "pipelining", "SIZE 1000", "AUTH PLAIN  CRAM-MD5 X", "AUTH=LOGIN",
		"8bitmime", "STARTTLS", "LIMITS RCPTMAX=20 MAILMAX=5", "XYZZY", "SMTPUTF8", "CHUNKING", "DSN",
		"AUTH scram-sha-256" };
	struct smtp_offer o = { 0 };

	(void)state;
	for (size_t i = 0; i < nitems(lines); i++)
		smtp_offer_line(&o, bytes_of_string(lines[i]));
	assert_int_equal(o.can, (1 << 11) - 1);
	assert_int_equal(o.size, 1000);
	assert_int_equal(o.rcpt_max, 20);
	assert_int_equal(o.mail_max, 5);
	smtp_offer_line(&o, BYTES("SIZE 99999999999999999999999"));
	assert_int_equal(o.size, 0);
}

/* ---- MX ---- */

static uint32_t drawn;

static uint32_t
draw(void)
{
	return drawn += 0x9e3779b9u;
}

static void
add(struct buf *records, uint16_t preference, const char *name)
{
	uint8_t room[300];
	struct buf one = BUF_OVER(room);

	buf_add_octet(&one, (uint8_t)(preference >> 8));
	buf_add_octet(&one, (uint8_t)preference);
	buf_add_string(&one, name);
	wire_put(records, buf_bytes(&one));
}

static void
mx_in_order(void **state)
{
	static struct mx_list list;
	uint8_t room[4096], own_room[100];
	struct buf records = BUF_OVER(room), own = BUF_OVER(own_room);
	unsigned first[2] = { 0 };

	(void)state;
	add(&records, 20, "c.test");
	add(&records, 10, "a.test");
	add(&records, 10, "b.test");
	add(&records, 300, "d.test");
	for (int i = 0; i < 200; i++) {
		mx_order(&list, buf_bytes(&records), BYTES_NONE, draw);
		assert_int_equal(list.n, 4);
		assert_false(list.is_null || list.is_me);
		assert_string_equal(list.hosts[2].name, "c.test");
		assert_string_equal(list.hosts[3].name, "d.test");
		first[list.hosts[0].name[0] == 'a']++;
	}
	assert_true(first[0] > 50 && first[1] > 50);
	wire_put_string(&own, "C.Test");
	mx_order(&list, buf_bytes(&records), buf_bytes(&own), draw);
	assert_true(list.is_me);
	assert_int_equal(list.n, 2);
}

static void
a_name_that_can_be_no_host_is_a_host_that_can_not_be_reached(void **state)
{
	static const char *const odd[] = { "mail host.test", "a\\032b.test", "m\xfcller.test", "-", "a..b" };
	static struct mx_list list;
	uint8_t room[600], own_room[30];
	struct buf own = BUF_OVER(own_room);

	(void)state;
	wire_put_string(&own, "me.test");
	for (size_t i = 0; i < nitems(odd); i++) {
		struct buf records = BUF_OVER(room);

		add(&records, 5, odd[i]);
		mx_order(&list, buf_bytes(&records), BYTES_NONE, draw);
		assert_int_equal(list.n, 1);
		assert_true(list.hosts[0].is_unusable && !list.is_null);
		add(&records, 10, "me.test");
		add(&records, 10, "a.test");
		mx_order(&list, buf_bytes(&records), buf_bytes(&own), draw);
		assert_int_equal(list.n, 1); /* it is better than this host, so mail waits for it */
		assert_true(list.is_me && list.hosts[0].is_unusable && list.hosts[0].preference == 5);
		for (const char *c = list.hosts[0].name; *c != '\0'; c++)
			assert_true(*c > ' ' && *c < 0x7f);
	}
}

static void
mx_edges(void **state)
{
	static struct mx_list list;
	static uint8_t room[60000];
	struct buf records = BUF_OVER(room), own = BUF_OVER((uint8_t[20]){ 0 });
	char name[32];

	(void)state;
	add(&records, 0, "");
	mx_order(&list, buf_bytes(&records), BYTES_NONE, draw);
	assert_true(list.is_null);
	add(&records, 10, "a.test");
	mx_order(&list, buf_bytes(&records), BYTES_NONE, draw);
	assert_false(list.is_null);
	assert_int_equal(list.n, 1);
	for (unsigned i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof name, "h%u.test", i);
		add(&records, (uint16_t)(2000 - i), name);
	}
	mx_order(&list, buf_bytes(&records), BYTES_NONE, draw);
	assert_int_equal(list.n, MX_MAX);
	assert_string_equal(list.hosts[0].name, "a.test");
	assert_string_equal(list.hosts[1].name, "h999.test");
	wire_put_string(&own, "a.test");
	mx_order(&list, buf_bytes(&records), buf_bytes(&own), draw);
	assert_int_equal(list.n, 0);
	assert_true(list.is_me);
	mx_order(&list, BYTES("\377\377x"), BYTES_NONE, draw);
	assert_int_equal(list.n, 0);
}

/* ---- base64 ---- */

static void
base64(void **state)
{
	static const char *const pairs[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" }, { "\xff\xfe\xfd", "//79" } };
	static const char *const bad[] = { "Z", "Zg", "Zg=", "Zg=a", "Z===", "====", "Zh==", "Zm9=", "Zm 8",
		"Zg==Zg==", "Zm8\n" };
	uint8_t room[64];

	(void)state;
	for (size_t i = 0; i < nitems(pairs); i++) {
		struct buf b = BUF_OVER(room);

		base64_encode(bytes_of_string(pairs[i][0]), &b);
		assert_true(bytes_equal(buf_bytes(&b), bytes_of_string(pairs[i][1])));
		buf_clear(&b);
		assert_int_equal(base64_decode(bytes_of_string(pairs[i][1]), &b), OK);
		assert_true(bytes_equal(buf_bytes(&b), bytes_of_string(pairs[i][0])));
	}
	for (size_t i = 0; i < nitems(bad); i++) {
		struct buf b = BUF_OVER(room);

		assert_int_equal(base64_decode(bytes_of_string(bad[i]), &b), MALFORMED);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_line),
		cmocka_unit_test(several_lines),
		cmocka_unit_test(details_of_three_digits_are_kept),
		cmocka_unit_test(an_odd_octet_makes_a_reply_no_other_than_it_is),
		cmocka_unit_test(a_reply_cut_anywhere_is_not_whole_or_is_the_same),
		cmocka_unit_test(a_text_that_is_full_keeps_its_code),
		cmocka_unit_test(bounds),
		cmocka_unit_test(offers),
		cmocka_unit_test(mx_in_order),
		cmocka_unit_test(a_name_that_can_be_no_host_is_a_host_that_can_not_be_reached),
		cmocka_unit_test(mx_edges),
		cmocka_unit_test(base64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
