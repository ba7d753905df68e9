/* Whose mail an address is.
 * Trusts lib/control only as far as it asserts.
 * Never leaves its private directory; uses no account of the host. */
#include "unit.h"

#include "control/users.h"
#include "control_dir.h"

#include <cdb.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int
set_up(void **state)
{
	struct why why = WHY_NONE;

	(void)dir_set_up(state);
	dir_put(&dir, "locals", "mx.example.org\nlocal.example\n");
	dir_put(&dir, "virtualdomains",
	    "virt.example:joe-virt\n.wild.example:joe\nalice@one.example:joe-alice\n"
	    "not.wild.example:\n");
	dir_put(&dir, "percenthack", "mx.example.org\n");
	dir_put(&dir, "virtualuser", "5000:5001:/var/vmail\n");
	dir_put(&dir, "virtualusers", "Mary@Box.example:./box/mary/\n@box.example:rest\nann@two.example:two/ann\n");
	dir_put(&dir, "users/assign",
	    "=joe:joe:1001:1002:/home/joe:::\n+joe-:joe:1001:1002:/home/joe:-::\n"
	    "+joe-list-:lister:1003:1003:/home/list:-:l-:\n=postie:postie:1004:1004:/home/postie:::\n.\n");
	dir_put(&dir, "postmaster", "postie\n");
	assert_int_equal(dir_open(&dir, "policy", &control, &why), OK);
	assert_string_equal(dir.said, "");
	return 0;
}

/* address, then "uid home/maildir dash extension delivered-to", or "remote domain", or null if nobody has it */
static const struct {
	const char *address, *goes;
} routes[] = {
	{ "joe@local.example", "1001 /home/joe Maildir  '' joe@local.example" },
	{ "JOE@LOCAL.example", "1001 /home/joe Maildir  '' JOE@LOCAL.example" },
	{ "joe", "1001 /home/joe Maildir  '' joe@mx.example.org" },
	{ "joe-Ext-More@local.example", "1001 /home/joe Maildir - 'Ext-More' joe-Ext-More@local.example" },
	{ "joe-list-x@local.example", "1003 /home/list Maildir - 'l-x' joe-list-x@local.example" },
	{ "joe-@local.example", "1001 /home/joe Maildir - '' joe-@local.example" },
	{ "joel@local.example", NULL },
	{ "nobody@local.example", NULL },
	{ "@local.example", NULL },
	{ "joe-a/b@local.example", NULL },
	{ "joe-a\x01@local.example", NULL },
	{ "\"joe\"@local.example", "1001 /home/joe Maildir  '' joe@local.example" },
	{ "\"\\j\\o\\e\"@local.example", "1001 /home/joe Maildir  '' joe@local.example" },
	{ "\"joe-a/b\"@local.example", NULL },
	{ "info@virt.example", "1001 /home/joe Maildir - 'virt-info' joe-virt-info@virt.example" },
	{ "info@sub.wild.example", "1001 /home/joe Maildir - 'info' joe-info@sub.wild.example" },
	{ "info@not.wild.example", "remote not.wild.example" },
	{ "info@wild.example", "remote wild.example" },
	{ "alice@one.example", "1001 /home/joe Maildir - 'alice-alice' joe-alice-alice@one.example" },
	{ "bob@one.example", "remote one.example" },
	{ "mary@box.example", "5000 /var/vmail box/mary  '' mary@box.example" },
	{ "MARY@BOX.EXAMPLE", "5000 /var/vmail box/mary  '' MARY@BOX.EXAMPLE" },
	{ "other@box.example", "5000 /var/vmail rest  '' other@box.example" },
	{ "ann@two.example", "5000 /var/vmail two/ann  '' ann@two.example" },
	{ "../../x@box.example", NULL },
	{ "bob@two.example", NULL },
	{ "x@elsewhere.example", "remote elsewhere.example" },
	{ "x%elsewhere.example@mx.example.org", "remote elsewhere.example" },
	{ "joe%local.example@mx.example.org", "1001 /home/joe Maildir  '' joe@local.example" },
	{ "x%elsewhere.example@local.example", NULL },
	{ "postmaster", "1004 /home/postie Maildir  '' postie@mx.example.org" },
	{ "PostMaster@local.example", "1004 /home/postie Maildir  '' postie@mx.example.org" },
	{ "postmaster@elsewhere.example", "remote elsewhere.example" },
};

static void
say_route(struct bytes address, char *text, size_t size)
{
	struct destination d;
	enum result r = users_route(&control, address, &d);

	text[0] = '\0';
	if (r == ABSENT)
		return;
	assert_int_equal(r, OK);
#define B(bytes) (int)(bytes).len, (const char *)(bytes).at
	if (d.route == ROUTE_REMOTE)
		(void)snprintf(text, size, "remote %.*s", B(d.domain));
	else
		(void)snprintf(text, size, "%u %.*s %.*s %.*s '%.*s' %.*s", d.user.uid, B(d.user.home),
		    B(d.user.maildir), B(d.user.dash), B(d.user.extension), B(d.address));
}

static void
an_address_goes_where_qmail_sends_it(void **state)
{
	char text[1024];

	(void)state;
	for (size_t i = 0; i < nitems(routes); i++) {
		say_route(bytes_of_string(routes[i].address), text, sizeof text);
		assert_string_equal(text, routes[i].goes == NULL ? "" : routes[i].goes);
	}
}

static void
no_length_of_a_local_part_does_harm(void **state)
{
	char address[1200], text[4096];

	(void)state;
	for (size_t n = 1; n < 1000; n += n < 300 || n > 330 ? 37 : 1) {
		memset(address, 'x', n);
		memcpy(address, "joe-", n < 4 ? n : 4);
		memcpy(address + n, "@local.example", 15);
		say_route(bytes_of_string(address), text, sizeof text);
		assert_int_equal(text[0] != '\0', n >= 3 && n <= USER_LOCAL_MAX && (n == 3 || n >= 4));
		memcpy(address + n, "@virt.example", 14);
		say_route(bytes_of_string(address), text, sizeof text);
		assert_int_equal(text[0] != '\0', n + strlen("joe-virt-") <= USER_LOCAL_MAX);
	}
}

/* A table whose set of last octets is gone is one that can't be read: 451, never 550. */
static void
a_table_that_cannot_be_read_is_not_one_without_the_user(void **state)
{
	uint8_t image[65536];
	int fd = memfd_create("damaged", MFD_CLOEXEC);
	ssize_t len = pread(control.fd, image, sizeof image, 0);
	struct why why = WHY_NONE;
	struct control damaged;
	struct user u;

	(void)state;
	assert_true(len > 2048 && (size_t)len < sizeof image);
	for (size_t i = 0; i < 2048;
	     i += 8) /* positions of the hash tables: beyond the end, but for the head record's */
		if (i / 8 != (cdb_hash("!", 1) & 255))
			memset(image + i, 0xff, 4);
	assert_int_equal(write(fd, image, (size_t)len), len);
	if (control_open(&damaged, fd, "policy", &why) == OK) {
		assert_int_equal(users_find(&damaged, BYTES("nobody"), &u), BROKEN);
		control_close(&damaged);
	}
	(void)close(fd);
}

static void
a_compiled_table_counts_like_its_text(void **state)
{
	static const char value[] = "kim\0"
				    "1010\0"
				    "1010\0"
				    "/home/kim\0"
				    "-\0"
				    "pre\0";
	struct cdb_make made;
	struct why why = WHY_NONE;
	char path[100];
	int fd;

	(void)state;
	dir_close(&control);
	dir_put(&dir, "users/assign", NULL);
	(void)snprintf(path, sizeof path, "%s/users/cdb", dir.etc);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_int_equal(cdb_make_start(&made, fd), 0);
	assert_int_equal(cdb_make_add(&made, "!kim+", 5, value, sizeof value - 1), 0);
	assert_int_equal(cdb_make_add(&made, "", 0, "+", 1), 0);
	assert_int_equal(cdb_make_finish(&made), 0);
	(void)close(fd);
	assert_int_equal(dir_open(&dir, "policy", &control, &why), OK);
	{
		char text[1024];

		say_route(BYTES("kim+x@local.example"), text, sizeof text);
		assert_string_equal(text, "1010 /home/kim Maildir - 'prex' kim+x@local.example");
		say_route(BYTES("kim@local.example"), text, sizeof text);
		assert_string_equal(text, "");
	}
}

/* The home of who gets the rest is the control directory: what lies there as .qmail-… are the files. */
static void
open_with_rest(const char *const files[], const char *dotqmail)
{
	struct why why = WHY_NONE;
	char assign[300];

	dir_close(&control);
	(void)snprintf(
	    assign, sizeof assign, "=joe:joe:1001:1002:/home/joe:::\n+:alias:1005:1005:%s:-::\n.\n", dir.etc);
	dir_put(&dir, "users/assign", assign);
	dir_put(&dir, "dotqmail", dotqmail);
	for (size_t i = 0; files[i] != NULL; i++)
		dir_put(&dir, files[i], "");
	assert_int_equal(dir_open(&dir, "policy", &control, &why), OK);
}

static void
what_no_file_of_the_alias_user_is_for_is_nobodys(void **state)
{
	static const char *const files[] = { ".qmail-sales", ".qmail-john:doe", ".qmail-list-default",
		".qmail-a-b-default", NULL };
	static const char *const none[] = { NULL };
	static const struct {
		const char *address;
		enum result r;
	} rows[] = { { "sales@local.example", OK }, { "SALES@local.example", OK }, { "John.Doe@local.example", OK },
		{ "john:doe@local.example", OK }, { "list-x@local.example", OK }, { "list-@local.example", OK },
		{ "a-b-c-d@local.example", OK }, { "joe@local.example", OK }, { "far@far.example", OK },
		{ "sale@local.example", ABSENT }, { "sales-x@local.example", ABSENT }, { "list@local.example", ABSENT },
		{ "a-c@local.example", ABSENT }, { "list-default@local.example", OK },
		{ "default@local.example", ABSENT } };
	struct destination d;

	(void)state;
	open_with_rest(files, "yes\n");
	for (size_t i = 0; i < nitems(rows); i++) {
		assert_int_equal(users_route_now(&control, bytes_of_string(rows[i].address), &d), rows[i].r);
		assert_int_equal(
		    users_route(&control, bytes_of_string(rows[i].address), &d), OK); /* send asks the home */
	}
	open_with_rest(files, "no\n");
	assert_int_equal(users_route_now(&control, BYTES("sale@local.example"), &d), OK);
	for (size_t i = 0; files[i] != NULL; i++)
		dir_put(&dir, files[i], NULL);
	open_with_rest(none, "yes\n");
	assert_int_equal(users_route_now(&control, BYTES("sale@local.example"), &d), OK);
}

static void
postmaster_goes_to_the_alias_users_file_or_else_to_the_item(void **state)
{
	static const char *const without[] = { ".qmail-sales", NULL }, *const with[] = { ".qmail-postmaster", NULL };
	struct destination d;

	(void)state;
	dir_put(&dir, "postmaster", "joe@local.example\n");
	open_with_rest(without, "yes\n");
	assert_int_equal(users_route_now(&control, BYTES("Postmaster@local.example"), &d), OK);
	assert_int_equal(d.user.uid, 1001);
	open_with_rest(with, "yes\n");
	assert_int_equal(users_route_now(&control, BYTES("Postmaster@local.example"), &d), OK);
	assert_int_equal(d.user.uid, 1005);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_address_goes_where_qmail_sends_it, set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(no_length_of_a_local_part_does_harm, set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(
		    a_table_that_cannot_be_read_is_not_one_without_the_user, set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(a_compiled_table_counts_like_its_text, set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(
		    what_no_file_of_the_alias_user_is_for_is_nobodys, set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(
		    postmaster_goes_to_the_alias_users_file_or_else_to_the_item, set_up, dir_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
