/* What becomes of the tables for mail to other hosts: where to, from where, and what is demanded.
 * Trusts lib/control only as far as it asserts.
 * Never leaves its private directory. */
#include "unit.h"

#include "control_dir.h"
#include "failing.h"
#include "net/peer_order.h"

#include <stdio.h>
#include <string.h>

static void
read_all(void)
{
	struct why why = WHY_NONE;

	assert_int_equal(dir_open(&dir, "send", &control, &why), OK);
}

/* relay:port>destination from address as helo, with TLS, DANE, AUTH and certificate */
static const char *
order(const char *sender, const char *domain)
{
	static const char *const dane[] = { "off", "first", "after" };
	static char text[600];
	struct peer_order o;
	struct why why = WHY_NONE;
	enum result r = peer_order_find(&control, bytes_of_string(sender), bytes_of_string(domain), &o, &why);

#define SHOW(b) (int)(b).len, (const char *)(b).at
	if (r != OK)
		(void)snprintf(text, sizeof text, "%s: %s", result_meaning(r)->name, why.text);
	else
		(void)snprintf(text, sizeof text,
		    "%.*s:%u>%.*s from %.*s as %.*s tls=%u%s%s dane=%s%s%s cert=%.*s ca=%.*s", SHOW(o.route.relay),
		    o.peer.port, SHOW(o.destination), SHOW(o.side.address), SHOW(o.helo), o.peer.tls,
		    o.peer.by_policy ? "!" : "", o.peer.implicit_tls ? " implicit" : "", dane[o.peer.dane],
		    o.peer.auth ? " auth" : "", o.peer.auth_plain ? " plain" : "", SHOW(o.certificate), SHOW(o.ca));
	return text;
}

static void
without_tables_mail_goes_to_the_mx_and_tls_is_taken_where_it_is(void **state)
{
	(void)state;
	read_all();
	assert_string_equal(
	    order("a@b.test", "Dest.Test."), ":25>dest.test from  as mx.example.org tls=1 dane=first cert= ca=");
	assert_string_equal(order("",
				"b\xc3\xbc"
				"cher.test"),
	    ":25>xn--bcher-kva.test from  as mx.example.org tls=1 dane=first cert= ca=");
	assert_string_equal(order("a@b.test", "[IPv6:2001:DB8::1]"),
	    ":25>[ipv6:2001:db8::1] from  as mx.example.org tls=1 dane=first cert= ca=");
	assert_string_equal(order("a@b.test", ""), "malformed: the recipient has no domain that can be looked up");
	assert_string_equal(order("a@b.test", "."), "malformed: the recipient has no domain that can be looked up");
}

static void
each_table_has_its_say(void **state)
{
	(void)state;
	dir_put(
	    &dir, "smtproutes", "dest.test:relay.test;26|joe|pw\nsecure.test:relay.test:465\nopen.test:!in.test|u|p\n");
	dir_put(&dir, "authsenders",
	    "vip@b\xc3\xbc"
	    "cher.test:vip.test;587\n");
	dir_put(&dir, "domainips",
	    "b\xc3\xbc"
	    "cher.test:192.0.2.9|mail.b.test\n*:192.0.2.1\n");
	dir_put(&dir, "domaincerts", "xn--bcher-kva.test:/cert.pem\n");
	dir_put(&dir, "tlsdestinations",
	    "=relay.test:/ca.pem|b\xc3\xbc"
	    "cher.test\n-relay.test:\nmx.test:;465\n!plain.test:;465\n-:\n");
	dir_put(&dir, "helohost", "helo.example.org");
	dir_put(&dir, "dane", "after");
	read_all();
	assert_string_equal(order("x@b\xc3\xbc"
				  "cher.test",
				"dest.test"),
	    "relay.test:26>dest.test from 192.0.2.9 as mail.b.test tls=6! dane=after auth cert=/cert.pem ca=/ca.pem");
	assert_string_equal(order("vip@B\xc3\xbc"
				  "cher.test",
				"dest.test"),
	    "vip.test:587>dest.test from 192.0.2.9 as mail.b.test tls=1! dane=after cert=/cert.pem ca=");
	assert_string_equal(order("x@c.test", "secure.test"),
	    "relay.test:465>secure.test from 192.0.2.1 as helo.example.org tls=3! implicit dane=after cert= ca=");
	assert_string_equal(order("", "open.test"),
	    "in.test:25>open.test from 192.0.2.1 as helo.example.org tls=1! dane=after auth plain cert= ca=");
	assert_string_equal(order("", "mx.test"),
	    ":465>mx.test from 192.0.2.1 as helo.example.org tls=4! implicit dane=after cert= ca=");
	assert_string_equal(
	    order("", "plain.test"), ":465>plain.test from 192.0.2.1 as helo.example.org tls=0! dane=after cert= ca=");
}

static void
a_route_by_qmtp_is_put_off_with_a_reason(void **state)
{
	(void)state;
	dir_put(&dir, "qmtproutes", "q.test:relay.test\n");
	dir_put(&dir, "tlsdestinations", "-s.test:;6209\n");
	dir_put(&dir, "dane", "off");
	read_all();
	assert_string_equal(
	    order("", "q.test"), "again: the route of q.test is by QMTP, which this host does not speak");
	assert_string_equal(
	    order("", "s.test"), "again: the route of s.test is by QMTP, which this host does not speak");
	assert_string_equal(order("", "r.test"), ":25>r.test from  as mx.example.org tls=0 dane=off cert= ca=");
}

static void
what_remote_is_told_has_every_field(void **state)
{
	uint8_t room[2000];
	struct buf tail = BUF_OVER(room), small = buf_over(room, 20);
	struct bytes fields[RM_PEER_FIELDS], names, name;
	struct why why = WHY_NONE;
	struct peer_order o;

	(void)state;
	dir_put(&dir, "smtproutes", ":relay.test");
	dir_put(&dir, "helohost", "helo.example.org");
	read_all();
	assert_int_equal(peer_order_find(&control, BYTES("a@b.test"), BYTES("dest.test"), &o, &why), OK);
	assert_int_equal(o.peer.connect_ms, 60000);
	assert_int_equal(o.peer.idle_ms, 1200000);
	peer_order_put(&o, &control, &tail);
	assert_false(tail.failed);
	assert_true(wire_take_all(buf_bytes(&tail), fields, nitems(fields)));
	assert_true(bytes_equal(fields[0], BYTES("dest.test")) && bytes_equal(fields[1], BYTES("relay.test")));
	assert_true(bytes_equal(fields[2], BYTES("helo.example.org")));
	names = fields[RM_PEER_FIELDS - 1];
	assert_true(wire_take(&names, &name) && bytes_equal(name, BYTES("mx.example.org")));
	assert_true(wire_take(&names, &name) && bytes_equal(name, BYTES("helo.example.org")));
	assert_false(wire_take(&names, &name));
	peer_order_put(&o, &control, &small);
	assert_true(small.failed);
}

/* A table is there as a whole or not at all: no mail goes without the TLS or by another way than its line says. */
static void
without_memory_there_is_no_table_rather_than_a_part(void **state)
{
	unsigned n = 1;

	(void)state;
	dir_put(&dir, "smtproutes", "dest.test:relay.test|joe|pw\n");
	dir_put(&dir, "tlsdestinations",
	    "a.test:\n=relay.test:/ca.pem|b\xc3\xbc"
	    "cher.test\n-relay.test:\n");
	dir_put(&dir, "domaincerts", "*:/cert.pem\n");
	for (bool failed = true; failed; n++) {
		struct why why = WHY_NONE;
		enum result r;

		fail_allocation(n);
		r = dir_open(&dir, "send", &control, &why);
		failed = allocation_failed();
		if (r == OK) {
			assert_string_equal(order("x@b\xc3\xbc"
						  "cher.test",
						"dest.test"),
			    "relay.test:25>dest.test from  as mx.example.org tls=6! dane=first auth cert=/cert.pem "
			    "ca=/ca.pem");
			dir_close(&control);
			control = CONTROL_NONE;
		} else
			assert_int_equal(r, EXHAUSTED);
	}
	assert_true(n > 10);
	read_all();
}

static void
a_table_that_can_not_be_read_decides_nothing(void **state)
{
	struct control none = CONTROL_NONE;
	struct why why = WHY_NONE;
	struct peer_order o;

	(void)state;
	read_all();
	assert_int_equal(peer_order_find(&none, BYTES("a@b.test"), BYTES("dest.test"), &o, &why), BROKEN);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    without_tables_mail_goes_to_the_mx_and_tls_is_taken_where_it_is, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(each_table_has_its_say, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(a_route_by_qmtp_is_put_off_with_a_reason, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(what_remote_is_told_has_every_field, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(
		    without_memory_there_is_no_table_rather_than_a_part, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(
		    a_table_that_can_not_be_read_decides_nothing, dir_set_up, dir_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
