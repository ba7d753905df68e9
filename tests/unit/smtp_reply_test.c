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
one_line(void **state)
{
	struct smtp_reply r = SMTP_REPLY_NONE;

	(void)state;
	assert_int_equal(feed(&r, "250 2.1.5 fine"), OK);
	assert_int_equal(r.code, 250);
	assert_memory_equal(r.enhanced, "\2\1\5", 3);
	assert_string_equal(r.text, "250 2.1.5 fine");
	r = SMTP_REPLY_NONE;
	assert_int_equal(feed(&r, "550"), OK);
	assert_string_equal(r.text, "550");
	r = SMTP_REPLY_NONE;
	assert_int_equal(feed(&r, "550 2.1.5 of another class"), OK);
	assert_memory_equal(r.enhanced, "\0\0\0", 3);
	r = SMTP_REPLY_NONE;
	assert_int_equal(feed(&r, "550 5.1.1000 too large"), OK);
	assert_memory_equal(r.enhanced, "\0\0\0", 3);
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
	r = SMTP_REPLY_NONE;
	assert_int_equal(feed(&r, "250-a"), AGAIN);
	assert_int_equal(feed(&r, "251 b"), MALFORMED);
}

static void
no_replies(void **state)
{
	static const char *const lines[] = { "", "25", "abc", "199 x", "600 x", "250x", "2 50", "-250 a", "25\xb2 x" };

	(void)state;
	for (size_t i = 0; i < nitems(lines); i++) {
		struct smtp_reply r = SMTP_REPLY_NONE;

		assert_int_equal(feed(&r, lines[i]), MALFORMED);
	}
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
	add(&records, 5, "not a name");
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
		cmocka_unit_test(no_replies),
		cmocka_unit_test(bounds),
		cmocka_unit_test(offers),
		cmocka_unit_test(mx_in_order),
		cmocka_unit_test(mx_edges),
		cmocka_unit_test(base64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
