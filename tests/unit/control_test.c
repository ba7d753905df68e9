/* Control directories: what is read, what is refused and with which words, what a process gets to see.
 * Trusts lib/control only as far as it asserts.
 * Never leaves its private directory. */
#include "unit.h"

#include "control/decode.h"
#include "control/rules.h"
#include "control_dir.h"
#include "failing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define assert_bytes(have, want) \
	do { \
		struct bytes have_ = (have); \
		assert_int_equal(have_.len, strlen(want)); \
		if (have_.len > 0) \
			assert_memory_equal(have_.at, want, have_.len); \
	} while (0)

static void
a_directory_with_me_alone_has_every_default(void **state)
{
	(void)state;
	dir_open_as("policy");
	assert_string_equal(dir.said, "");
	assert_bytes(control_text(&control, ITEM_ME), "mx.example.org");
	assert_bytes(control_text(&control, ITEM_SMTPGREETING), "mx.example.org");
	assert_int_equal(control_number(&control, ITEM_MAXRCPT), 1000);
	assert_int_equal(control_number(&control, ITEM_MAXHOPS), 100);
	assert_int_equal(control_number(&control, ITEM_DATABYTES), 0);
	assert_bytes(control_text(&control, ITEM_DEFAULTDELIVERY), "Maildir");
}

static void
a_default_that_names_another_item_has_its_lines(void **state)
{
	(void)state;
	dir_put(&dir, "locals", "a.example\nB.Example\n");
	dir_open_as("policy");
	assert_int_equal(control_find_domain(&control, ITEM_RCPTHOSTS, BYTES("b.example")), OK);
	assert_int_equal(control_find_domain(&control, ITEM_RCPTHOSTS, BYTES("mx.example.org")), ABSENT);
}

static void
a_service_s_own_item_hides_the_common_one(void **state)
{
	(void)state;
	dir_put(&dir, "databytes", "5\n");
	dir_put(&dir, "smtpd/databytes", "# for the world\n\n7  \n");
	dir_open_as("policy");
	assert_int_equal(control_number(&control, ITEM_DATABYTES), 7);
}

static void
a_process_gets_only_its_own_items(void **state)
{
	struct bytes value;

	(void)state;
	dir_put(&dir, "rcpthosts", "a.example\n");
	dir_open_as("listen");
	assert_int_equal(control_number(&control, ITEM_CONCURRENCYINCOMING), 400);
	assert_bytes(control_text(&control, ITEM_ME), "");
	assert_int_equal(control_find(&control, ITEM_RCPTHOSTS, BYTES("a.example"), &value), ABSENT);
}

static void
a_configuration_made_for_another_process_is_refused(void **state)
{
	struct why why = WHY_NONE;
	struct control c;

	(void)state;
	dir_open_as("listen");
	assert_int_equal(control_open(&c, control.fd, "policy", &why), MALFORMED);
}

static void
nobody_can_write_to_a_configuration(void **state)
{
	char path[64];
	int fd;

	(void)state;
	dir_open_as("policy");
	assert_int_equal(write(control.fd, "x", 1), -1);
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", control.fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		assert_int_equal(pwrite(fd, "x", 1, 0), -1);
		assert_int_equal(ftruncate(fd, 0), -1);
		(void)close(fd);
	}
}

static const struct {
	const char *file, *text, *said;
} refused[] = {
	{ "me", NULL, "error me:0: expected a file here: name of this host; the default of every other name\n" },
	{ "me", "a b\n", "error me:1: expected a domain\n" },
	{ "me", "a..b\n", "error me:1: expected a domain\n" },
	{ "me", "# nothing\n", "error me:0: expected a domain\n" },
	{ "me", "a.example\nb.example\n", "error me:2: expected one line\n" },
	{ "me", "a.example\r\n", "error me:1: expected a line without a carriage return at its end\n" },
	{ "databytes", "12k\n", "error databytes:1: expected a number from 0 to 1099511627776\n" },
	{ "databytes", "-1\n", "error databytes:1: expected a number from 0 to 1099511627776\n" },
	{ "databytes", "99999999999999999999999\n", "error databytes:1: expected a number from 0 to 1099511627776\n" },
	{ "maxhops", "9\n", "error maxhops:1: expected a number from 10 to 1000\n" },
	{ "systemusers", "maybe\n", "error systemusers:1: expected yes or no\n" },
	{ "rcpthosts", "ok.example\nuser@x.example\n..y\n",
	    "error rcpthosts:2: expected a domain, or a dot and a domain\nerror rcpthosts:3: expected a domain, or a "
	    "dot and a domain\n" },
	{ "rcpthosts",
	    "a\x01"
	    "b\n",
	    "error rcpthosts:1: expected a line without control octets\n" },
	{ "virtualdomains", "x.example\n",
	    "error virtualdomains:1: expected domain:user, .suffix:user, local@domain:user or :user\n" },
	{ "virtualdomains", "x.example:a/b\n",
	    "error virtualdomains:1: expected the name of a user of this host behind the colon\n" },
	{ "virtualuser", "0:0:/var/mail\n",
	    "error virtualuser:1: expected uid:gid:home, with a uid other than 0 and an absolute home\n" },
	{ "virtualuser", "5:5:var\n",
	    "error virtualuser:1: expected uid:gid:home, with a uid other than 0 and an absolute home\n" },
	{ "virtualusers", "a@x.example:../b\n",
	    "error virtualusers:1: expected a Maildir below virtualuser's home behind the colon, without ..\n" },
	{ "virtualusers", "a@x.example:/b\n",
	    "error virtualusers:1: expected a Maildir below virtualuser's home behind the colon, without ..\n" },
	{ "virtualusers", "a@x.example:b\n",
	    "error smtpd/virtualuser:0: expected uid:gid:home here, the owner of the mailboxes in virtualusers\n" },
	{ "virtualusers", "a:b\n", "error virtualusers:1: expected local@domain:maildir or @domain:maildir\n" },
	{ "defaultdelivery", "|vdelivermail\n",
	    "error defaultdelivery:1: expected a Maildir below the user's home: ./NAME/\n" },
	{ "defaultdelivery", "./../x/\n",
	    "error defaultdelivery:1: expected a Maildir below the user's home: ./NAME/\n" },
	{ "users/assign", "=a:a:5:5:/h:::\n",
	    "error users/assign:2: expected a line with a dot behind the last assignment\n" },
	{ "users/assign", "=a:a:0:0:/root:::\n.\n",
	    "error users/assign:1: expected a uid other than 0, a gid and an absolute home\n" },
	{ "users/assign", "a\n.\n",
	    "error users/assign:1: expected =local:user:uid:gid:home:dash:ext: or "
	    "+prefix:user:uid:gid:home:dash:pre:\n" },
	{ "rules", "1.2.3.4:allow\n1.2.3:deny\n",
	    "error rules:2: expected an address, a range or prefix such as 192.0.2.1-9 or 192.0.2., 192.0.2.0/24, "
	    "=host, or nothing\n" },
	{ "rules", "1.2.3.4:allwo\n", "error rules:1: expected address:allow or address:deny\n" },
	{ "rules", "1.2.3.4:allow,A=\"b\n", "error rules:1: expected a second \" behind the value of A\n" },
	{ "variables", "NAME\n", "error variables:1: expected NAME=value\n" },
	{ "barelfnetworks", "1.2.3.4/33\n",
	    "error barelfnetworks:1: expected an address or a network such as 192.0.2.0/24 or 2001:db8::/32\n" },
	{ "smtpd/listen", "25\n", "error smtpd/listen:1: expected 192.0.2.1:25, [2001:db8::1]:25 or unix:PATH\n" },
	{ "smtpd/listen", "::1:25\n", "error smtpd/listen:1: expected 192.0.2.1:25, [2001:db8::1]:25 or unix:PATH\n" },
	{ "smtpd/listen", "127.0.0.1:65536\n",
	    "error smtpd/listen:1: expected 192.0.2.1:25, [2001:db8::1]:25 or unix:PATH\n" },
	{ "smtpd/listen", "unix:relative\n",
	    "error smtpd/listen:1: expected unix: and an absolute path of at most 107 octets\n" },
	{ "smtpd/listen", "\n", "error smtpd/listen:0: expected a file with an address to listen on\n" },
	{ "rules.cdb", "short", "error rules.cdb:0: expected a cdb\n" },
	{ "users/cdb", "short", "error users/cdb:0: expected a cdb\n" },
};

static void
a_malformed_item_is_told_with_its_file_and_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(refused); i++) {
		struct why why = WHY_NONE;
		struct control_dir d;
		struct control c;

		dir_make(&d);
		dir_put(&d, refused[i].file, refused[i].text);
		assert_int_equal(dir_open(&d, "policy", &c, &why), MALFORMED);
		assert_string_equal(d.said, refused[i].said);
		assert_true(why.text[0] != '\0');
		dir_remove(&d);
	}
}

static void
an_unknown_file_is_told_with_the_nearest_name(void **state)
{
	(void)state;
	dir_put(&dir, "smtpd/rcpthost", "x\n");
	dir_put(&dir, "smtpd/zzzzzzzz", "x\n");
	dir_put(&dir, "smtpd/queuelifetime", "5\n");
	dir_open_as("policy");
	assert_non_null(strstr(dir.said, "warning smtpd/rcpthost:0: is no control item; did you mean rcpthosts?\n"));
	assert_non_null(strstr(dir.said, "warning smtpd/zzzzzzzz:0: is no control item\n"));
	assert_non_null(strstr(
	    dir.said, "warning smtpd/queuelifetime:0: is not read by a service of this kind: it does nothing here\n"));
}

static void
a_line_that_is_there_twice_is_told(void **state)
{
	struct bytes value;

	(void)state;
	dir_put(&dir, "virtualdomains", "a.example:one\nA.example:two\n");
	dir_open_as("policy");
	assert_string_equal(dir.said, "warning virtualdomains:2: is there twice; what came first counts\n");
	assert_int_equal(control_find(&control, ITEM_VIRTUALDOMAINS, BYTES("A.EXAMPLE"), &value), OK);
	assert_bytes(value, "one");
}

static void
a_virtual_domain_may_be_the_whole_world(void **state)
{
	struct bytes user;

	(void)state;
	dir_put(&dir, "virtualdomains", ":joe\n");
	dir_open_as("policy");
	assert_int_equal(control_find(&control, ITEM_VIRTUALDOMAINS, BYTES(""), &user), OK);
	assert_bytes(user, "joe");
}

static void
suffixes_of_a_domain_are_found_longest_first(void **state)
{
	(void)state;
	dir_put(&dir, "rcpthosts", "a.example\n.b.example\n");
	dir_open_as("policy");
	assert_int_equal(control_find_domain(&control, ITEM_RCPTHOSTS, BYTES("A.example")), OK);
	assert_int_equal(control_find_domain(&control, ITEM_RCPTHOSTS, BYTES("x.a.example")), ABSENT);
	assert_int_equal(control_find_domain(&control, ITEM_RCPTHOSTS, BYTES("b.example")), ABSENT);
	assert_int_equal(control_find_domain(&control, ITEM_RCPTHOSTS, BYTES("x.y.b.example")), OK);
	assert_int_equal(control_find_domain(&control, ITEM_RCPTHOSTS, BYTES("")), ABSENT);
}

static void
networks_are_compared_by_their_bits(void **state)
{
	const uint8_t in4[4] = { 192, 0, 2, 130 }, out4[4] = { 192, 0, 2, 127 };
	const uint8_t in6[16] = { 0x20, 1, 0xd, 0xb8, 1 }, out6[16] = { 0x20, 1, 0xd, 0xb9 };

	(void)state;
	dir_put(&dir, "barelfnetworks", "192.0.2.128/25\n2001:db8::/32\n");
	dir_open_as("policy");
	assert_true(control_in_networks(&control, ITEM_BARELFNETWORKS, in4, 4));
	assert_false(control_in_networks(&control, ITEM_BARELFNETWORKS, out4, 4));
	assert_true(control_in_networks(&control, ITEM_BARELFNETWORKS, in6, 16));
	assert_false(control_in_networks(&control, ITEM_BARELFNETWORKS, out6, 16));
}

static void
endpoints_come_in_their_order(void **state)
{
	struct endpoint e;
	struct bytes at;

	(void)state;
	dir_put(&dir, "smtpd/listen", "0.0.0.0:25\n[::]:26\nunix:/run/x\n");
	dir_open_as("warden");
	at = control_lines(&control, ITEM_LISTEN);
	assert_true(control_next_endpoint(&at, &e));
	assert_int_equal(e.kind, ENDPOINT_IPV4);
	assert_int_equal(e.port, 25);
	assert_true(control_next_endpoint(&at, &e));
	assert_int_equal(e.kind, ENDPOINT_IPV6);
	assert_int_equal(e.port, 26);
	assert_true(control_next_endpoint(&at, &e));
	assert_int_equal(e.kind, ENDPOINT_UNIX);
	assert_bytes(e.path, "/run/x");
	assert_false(control_next_endpoint(&at, &e));
}

/* The sealed form, cut at every octet, and with every octet of its first part changed: an answer or none, never a crash. */
static void
a_damaged_configuration_is_never_believed_blindly(void **state)
{
	uint8_t image[65536];
	ssize_t len;

	(void)state;
	dir_put(&dir, "rcpthosts", "a.example\n");
	dir_open_as("listen");
	len = pread(control.fd, image, sizeof image, 0);
	assert_true(len > 2048 && (size_t)len < sizeof image);
	for (ssize_t cut = 0; cut < len; cut += cut < 2040 ? 97 : 1) {
		int fd = memfd_create("cut", MFD_CLOEXEC);
		struct why why = WHY_NONE;
		struct control c;

		assert_int_equal(write(fd, image, (size_t)cut), cut);
		if (control_open(&c, fd, "listen", &why) == OK) {
			(void)control_number(&c, ITEM_CONCURRENCYINCOMING);
			(void)control_find_domain(&c, ITEM_RULES, BYTES("a.b.c"));
			control_close(&c);
		}
		(void)close(fd);
	}
}

static const struct {
	enum control_item item;
	const char *text;
} whole[] = {
	{ ITEM_ME, "mx.example.org\n" },
	{ ITEM_DATABYTES, "# octets\n\n1048576\n" },
	{ ITEM_RCPTHOSTS,
	    "a.example\n.b.example\nb\xc3\xbc"
	    "cher.example\n" },
	{ ITEM_VIRTUALDOMAINS, "a.example:joe\n.b.example:joe\nx@c.example:joe\n:joe\n" },
	{ ITEM_VIRTUALUSER, "5000:5000:/var/vmail\n" },
	{ ITEM_VIRTUALUSERS, "a@x.example:./a/\n@x.example:rest\n" },
	{ ITEM_USERS_ASSIGN, "=joe:joe:1001:1001:/home/joe:::\n+joe-:joe:1001:1001:/home/joe:-:x:\n.\n" },
	{ ITEM_RULES, "192.0.2.1-3:allow,A=\"b\"\n2001:db8::/32:deny\n=.x.example:allow\n:deny\n" },
	{ ITEM_VARIABLES, "A=b\nC=\n" },
	{ ITEM_BADMAILFROM, "a@b.example\n@c.example+\n*[a-z]\n!x*\n" },
	{ ITEM_BARELFNETWORKS, "192.0.2.0/24\n2001:db8::/32\n" },
	{ ITEM_LISTEN, "192.0.2.1:25\n[2001:db8::1]:25\nunix:/run/x\n" },
	{ ITEM_DEFAULTDELIVERY, "./Maildir/\n" },
	{ ITEM_SMTPROUTES,
	    "a.test:relay.test;26|joe|pass|word\n.b.test:[2001:db8::1]:27\nc.test:relay:28\n!@:!x.test\n:y.test\n" },
	{ ITEM_QMTPROUTES,
	    "b\xc3\xbc"
	    "cher.test:192.0.2.1\n" },
	{ ITEM_AUTHSENDERS, "joe@a.test:relay.test|u|p\n@a.test:r.test\n.b.test:r.test;587\n:z.test\n" },
	{ ITEM_DOMAINIPS, "a.test:192.0.2.1|mail.a.test\n.b.test:2001:db8::1%eth0\n*:192.0.2.2\n" },
	{ ITEM_TLSDESTINATIONS,
	    "=a.test:/etc/ca.pem|!aNULL:HIGH|3;465|b.test\n%c.test:=0123456789abcdef0123456789ABCDEF01234567\n"
	    "~.d.test:/etc/cas/|3:26\n-e.test:;35\n!f.test:\ng.test:||:35\n=*:\n-:\n" },
	{ ITEM_DOMAINCERTS, "a.test:/etc/a.pem|/etc/a.key|a pass|phrase\n*:/etc/b.pem\n" },
	{ ITEM_DANE, "after\n" },
	{ ITEM_RELAYMECHANISMS, "PLAIN  scram-sha-256\n" },
};

/* As a crash of an editor leaves it: read, or refused with words; and the whole is read. */
static void
a_file_cut_anywhere_is_read_or_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(whole); i++)
		for (size_t n = 0; n <= strlen(whole[i].text); n++) {
			struct control_source s = { .from = { .etc = "/etc", .service = "smtpd" } };
			struct control_data *data = &s.items[whole[i].item];
			struct decoder d = { .source = &s,
				.item = whole[i].item,
				.schema = &control_schema[whole[i].item],
				.file = "cut" };

			*data = (struct control_data){ .value = buf_growing(65536), .table = buf_growing(65536) };
			d.rest = bytes_of(whole[i].text, n);
			d.value = &data->value;
			d.table = &data->table;
			d.seen = &data->seen;
			decode_text(&d);
			assert_int_equal(d.failed, s.first.text[0] != '\0');
			assert_false(n == strlen(whole[i].text) && d.failed);
			buf_free(&data->value);
			buf_free(&data->table);
			free(data->seen.slots);
			free(s.told.slots);
		}
}

/* Each allocation fails in its turn: what comes back is EXHAUSTED, or a whole configuration. */
static void
without_memory_there_is_no_configuration_rather_than_a_wrong_one(void **state)
{
	unsigned n_failed = 0;
	bool failed = true;

	(void)state;
	dir_put(&dir, "rules", "192.0.2.1-60:deny\n");
	dir_put(&dir, "users/assign", "=joe:joe:1001:1001:/home/joe:::\n.\n");
	for (unsigned n = 1; failed; n++) {
		struct why why = WHY_NONE;
		enum result r;

		fail_allocation(n);
		r = dir_open(&dir, "policy", &control, &why);
		failed = allocation_failed();
		n_failed += failed;
		if (r == OK) {
			struct rules_query q = { .address = (const uint8_t[]){ 192, 0, 2, 60 }, .address_len = 4 };
			struct bytes data;

			assert_int_equal(rules_find_in(&control, &q, &data), OK);
			assert_true(rules_denies(data));
			dir_close(&control);
			control = CONTROL_NONE;
		} else if (r != EXHAUSTED)
			fail_msg("allocation %u: %d %s", n, (int)r, why.text);
	}
	print_message("%u allocations failed\n", n_failed);
	assert_true(n_failed > 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_directory_with_me_alone_has_every_default, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(
		    a_default_that_names_another_item_has_its_lines, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(a_service_s_own_item_hides_the_common_one, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(a_process_gets_only_its_own_items, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(
		    a_configuration_made_for_another_process_is_refused, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(nobody_can_write_to_a_configuration, dir_set_up, dir_tear_down),
		cmocka_unit_test(a_file_cut_anywhere_is_read_or_refused),
		cmocka_unit_test(a_malformed_item_is_told_with_its_file_and_line),
		cmocka_unit_test_setup_teardown(
		    an_unknown_file_is_told_with_the_nearest_name, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(a_line_that_is_there_twice_is_told, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(a_virtual_domain_may_be_the_whole_world, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(
		    suffixes_of_a_domain_are_found_longest_first, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(networks_are_compared_by_their_bits, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(endpoints_come_in_their_order, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(
		    a_damaged_configuration_is_never_believed_blindly, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(
		    without_memory_there_is_no_configuration_rather_than_a_wrong_one, dir_set_up, dir_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
