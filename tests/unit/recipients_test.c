/* For whom mail is taken: the item recipients and its tables, and what policy makes of them.
 * Trusts nothing of it: every answer is asserted.
 * Never leaves its private directory. */
#include "unit.h"

#include "control/recipients.h"
#include "control_dir.h"
#include "policy/decide.h"

#include <cdb.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
put_cdb(const char *file, const char *const keys[])
{
	char path[200];
	struct cdb_make made;
	int fd;

	(void)snprintf(path, sizeof path, "%s/%s", dir.etc, file);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(cdb_make_start(&made, fd), 0);
	for (size_t i = 0; keys[i] != NULL; i++)
		assert_int_equal(cdb_make_add(&made, keys[i], (unsigned)strlen(keys[i]), "x", 1), 0);
	assert_int_equal(cdb_make_finish(&made), 0);
	(void)close(fd);
}

static enum result
find(const struct control *c, struct bytes address)
{
	struct recipients_place place = { 0 };

	return recipients_find(c, address, &place);
}

static int
set_up(void **state)
{
	(void)dir_set_up(state);
	dir_put(&dir, "users/assign", "=joe:joe:1001:1002:/home/joe:::\n.\n");
	return 0;
}

static enum result
open_with(const char *recipients)
{
	struct why why = WHY_NONE;
	enum result r;

	dir_close(&control);
	control = CONTROL_NONE;
	dir_put(&dir, "recipients", recipients);
	r = dir_open(&dir, "policy", &control, &why);
	if (r != OK)
		(void)snprintf(dir.said, sizeof dir.said, "%s", why.text);
	return r;
}

static void
the_first_line_that_has_an_address_decides(void **state)
{
	static const struct {
		const char *address;
		enum result r;
	} cases[] = {
		{ "any@open.example", OK }, { "any@x.open.example", ABSENT }, { "ann@exact.example", OK },
		{ "ANN@Exact.Example", OK }, { "bob@exact.example", ABSENT }, { "ann@x.exact.example", ABSENT },
		{ "ann@below.example", OK }, { "ann@x.below.example", OK }, { "bob@x.below.example", ABSENT },
		{ "ann@notbelow.example", ABSENT }, { "list-any-more@exact.example", OK },
		{ "list@exact.example", ABSENT }, { "bob-list-any@exact.example", ABSENT }, { "cdb@any.example", OK },
		{ "CDB@any.example", OK }, { "not@any.example", ABSENT },
		{ "data@any.example", ABSENT }, /* a key of fastforward's that is no address */
	};
	static const char *const keys[] = { ":cdb@any.example", "data@any.example", ":odd", NULL };

	(void)state;
	dir_put(&dir, "users/exact", "# ours\nann@exact.example\n:list-@exact.example\n");
	dir_put(&dir, "users/below", "ann@below.example\nann@x.below.example\n");
	put_cdb("users/recipients.cdb", keys);
	assert_int_equal(open_with("!open.example\n@exact.example:users/exact\nbelow.example:users/below\n"
				   "users/recipients.cdb\n"),
	    OK);
	for (size_t i = 0; i < nitems(cases); i++)
		if (find(&control, bytes_of_string(cases[i].address)) != cases[i].r)
			fail_msg("%s", cases[i].address);
}

/* In s/qmail it would be taken by the second line, because the first has fitted its domain. */
static void
an_address_that_a_table_does_not_have_is_not_taken_by_another_domain_s_line(void **state)
{
	(void)state;
	dir_put(&dir, "users/a", "ann@a.example\n");
	assert_int_equal(open_with("@a.example:users/a\n!b.example\n"), OK);
	assert_int_equal(find(&control, BYTES("bob@a.example")), ABSENT);
	assert_int_equal(find(&control, BYTES("bob@b.example")), OK);
}

static void
a_last_line_may_take_all_others(void **state)
{
	(void)state;
	dir_put(&dir, "users/a", "ann@a.example\n");
	assert_int_equal(open_with("@a.example:users/a\n!*\n"), OK);
	assert_int_equal(find(&control, BYTES("bob@b.example")), OK);
	assert_int_equal(open_with(""), OK);
	assert_int_equal(find(&control, BYTES("bob@b.example")), OK);
}

static void
without_a_configuration_nothing_is_concluded(void **state)
{
	struct control none = CONTROL_NONE;

	(void)state;
	assert_int_equal(find(&none, BYTES("a@b.example")), BROKEN);
}

static void
a_table_that_cannot_be_read_is_a_refusal_to_start(void **state)
{
	static const struct {
		const char *line, *said;
	} cases[] = {
		{ "@a.example:users/none", "recipients:1: expected the name of a table that is there, not users/none" },
		{ "@a.example:users", "recipients:1: expected a table that can be read: users: expected a file" },
		{ "a.example|/nowhere/qmail-vmailbox x",
		    "recipients:1: expected a program that is there and can be executed, not /nowhere/qmail-vmailbox" },
		{ "a.example|true 1 2 3 4 5 6", "recipients:1: expected a program with at most 5 arguments" },
		{ "a.example|", "recipients:1: expected a program" },
		{ "a b|true", "recipients:1: expected @domain|PROGRAM, domain|PROGRAM or *|PROGRAM" },
		{ "a.example",
		    "recipients:1: expected !domain, @domain:FILE, domain:FILE, *:FILE, one of these with "
		    "|PROGRAM for :FILE, or !*" },
		{ "!a b",
		    "recipients:1: expected !domain, @domain:FILE, domain:FILE, *:FILE, one of these with "
		    "|PROGRAM for :FILE, or !*" },
		{ "@a.example:",
		    "recipients:1: expected the name of a table, of at most 255 octets, behind the colon" },
		{ "*:users/bad", "users/bad:2: expected local@domain" },
		{ "*:users/bad.cdb", "users/bad.cdb: expected a cdb" },
	};

	(void)state;
	dir_put(&dir, "users/bad", "a@b.example\nnobody\n");
	dir_put(&dir, "users/bad.cdb", "this is no cdb");
	for (size_t i = 0; i < nitems(cases); i++) {
		assert_int_equal(open_with(cases[i].line), MALFORMED);
		if (strstr(dir.said, cases[i].said) == NULL)
			fail_msg("said %s", dir.said);
	}
}

static struct reply
rcpt(struct client *client, const char *to)
{
	static struct envelope envelope;
	struct sp_mail m = { .helo = SP_EHLO };
	struct sp_rcpt r = { 0 };
	struct bytes mail_fields[3] = { BYTES("h.example"), BYTES("a@b.example"), BYTES("") };
	struct bytes fields[2] = { bytes_of_string(to), BYTES("") };
	struct reply answer = decide_mail(client, &m, mail_fields, &envelope);

	answer = decide_rcpt(client, &r, fields, &envelope);
	buf_free(&envelope.recipients);
	envelope.recipients = (struct buf){ 0 };
	return answer;
}

static void
policy_takes_what_both_have(void **state)
{
	struct lp_peer peer = {
		.conn = "00000000001", .family = LP_IPV4, .remote = { 192, 0, 2, 5 }, .uid = UINT32_MAX
	};
	struct settings settings;
	struct client client;

	(void)state;
	dir_put(&dir, "users/some", "ann@backup.example\nann@mx.example.org\njoe@mx.example.org\n");
	dir_put(&dir, "rcpthosts", "mx.example.org\nbackup.example\n");
	dir_put(&dir, "rules",
	    "192.0.2.6:allow,RECIPIENTS=\"-\"\n192.0.2.7:allow,RELAYCLIENT=\"\"\n"
	    "192.0.2.8:allow,RELAYCLIENT=\"\",RECIPIENTS=\"+\"\n");
	assert_int_equal(open_with("*:users/some"), OK);
	settings = settings_of(&control, "smtpd");
	assert_int_equal(client_meet(&client, &settings, &peer, BYTES_NONE), OK);
	assert_int_equal(rcpt(&client, "joe@mx.example.org").answer.code, 250);
	assert_int_equal(rcpt(&client, "ann@mx.example.org").answer.code, 550); /* no such user */
	assert_int_equal(rcpt(&client, "ann@backup.example").answer.code, 250);
	assert_int_equal(rcpt(&client, "bob@backup.example").answer.code, 550);
	assert_int_equal(rcpt(&client, "postmaster@backup.example").answer.code, 250);
	for (uint8_t last = 6; last <= 8; last++) {
		peer.remote[3] = last;
		assert_int_equal(client_meet(&client, &settings, &peer, BYTES_NONE), OK);
		assert_int_equal(rcpt(&client, "bob@backup.example").answer.code, last == 8 ? 550 : 250);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, dir_tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(the_first_line_that_has_an_address_decides),
		TEST(an_address_that_a_table_does_not_have_is_not_taken_by_another_domain_s_line),
		TEST(a_last_line_may_take_all_others),
		TEST(without_a_configuration_nothing_is_concluded),
		TEST(a_table_that_cannot_be_read_is_a_refusal_to_start),
		TEST(policy_takes_what_both_have),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
