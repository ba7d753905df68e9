/* Decisions about envelopes, and the trace field, without a process around them.
 * Trusts nothing of them: every answer is asserted.
 * Never leaves its private directory. */
#include "unit.h"

#include "control_dir.h"
#include "failing.h"
#include "policy/decide.h"
#include "policy/trace.h"
#include "wire/policy_queue.h"

#include <stdio.h>
#include <string.h>

static struct control_dir where;
static struct control tables;
static struct settings settings;
static struct client client;
static struct envelope envelope;

static int
set_up(void **state)
{
	struct lp_peer peer = {
		.conn = "00000000001", .family = LP_IPV4, .remote = { 192, 0, 2, 5 }, .uid = UINT32_MAX
	};
	struct why why = WHY_NONE;

	(void)state;
	dir_make(&where);
	dir_put(&where, "users/assign", "=joe:joe:1001:1002:/home/joe:::\n.\n");
	assert_int_equal(dir_open(&where, "policy", &tables, &why), OK);
	settings = settings_of(&tables, "smtpd");
	assert_int_equal(client_meet(&client, &settings, &peer, BYTES_NONE), OK);
	memset(&envelope, 0, sizeof envelope);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	buf_free(&envelope.recipients);
	dir_close(&tables);
	dir_remove(&where);
	return 0;
}

static struct reply
mail(const char *helo, const char *from, bool utf8)
{
	struct sp_mail m = { .helo = SP_EHLO, .smtputf8 = utf8 };
	struct bytes fields[3] = { bytes_of_string(helo), bytes_of_string(from), BYTES("") };

	return decide_mail(&client, &m, fields, &envelope);
}

static struct reply
rcpt(const char *to)
{
	struct sp_rcpt r = { 0 };
	struct bytes fields[2] = { bytes_of_string(to), BYTES("") };

	return decide_rcpt(&client, &r, fields, &envelope);
}

/* smtpd refuses it, too, but smtpd reads what strangers say. */
static void
only_a_program_of_this_host_may_have_a_reverse_path_for_each_recipient(void **state)
{
	struct sp_mail m = { .helo = SP_EHLO, .verp = 1 };
	struct bytes fields[3] = { BYTES("client.example"), BYTES("list-@home.example"), BYTES("") };

	(void)state;
	assert_int_equal(decide_mail(&client, &m, fields, &envelope).answer.code, 555);
	client.is_local_program = true;
	assert_int_equal(decide_mail(&client, &m, fields, &envelope).answer.code, 250);
}

static void
a_helo_name_is_compared_with_the_peer_s(void **state)
{
	static const struct {
		const char *host;
		enum host_known known;
		const char *helo;
		unsigned code;
	} cases[] = {
		{ "c.example", HOST_FOUND, "c.example", 250 },
		{ "c.example", HOST_FOUND, "C.Example", 250 },
		{ "c.example", HOST_FOUND, "d.example", 550 },
		{ "c.example", HOST_FOUND, "", 550 },
		{ NULL, HOST_NONE, "c.example", 550 },
		{ NULL, HOST_FAILED, "c.example", 451 },
		{ NULL, HOST_NOT_ASKED, "c.example", 250 },
	};

	(void)state;
	client.helo_check = BYTES("=");
	for (size_t i = 0; i < nitems(cases); i++) {
		client.host = bytes_of_string(cases[i].host);
		client.host_known = cases[i].known;
		(void)mail(cases[i].helo, "a@b.example", false);
		assert_int_equal(rcpt("joe@mx.example.org").answer.code, cases[i].code);
	}
	client.helo_check = BYTES(".");
	(void)mail("", "a@b.example", false);
	assert_int_equal(rcpt("joe@mx.example.org").answer.code, 550);
}

/* Of the variables only that which is meant for it: others name files. */
static void
a_refusal_says_the_words_of_its_variable_or_none(void **state)
{
	static const struct {
		struct bytes rule;
		const char *words;
	} cases[] = {
		{ BYTES("+KEYFILE=/key\0"), "" },
		{ BYTES("+REPLY_NOGATEWAYS=x\0+KEYFILE=/key\0"), "" },
		{ BYTES("+REPLY_NOGATEWAY=ask us\0+KEYFILE=/key\0"), "ask us" },
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct reply r;

		client.says = (struct variables){ 0 };
		variables_decode(&client.says, cases[i].rule, true);
		(void)mail("h.example", "a@b.example", false);
		r = rcpt("somebody@elsewhere.example");
		assert_int_equal(r.answer.code, 553);
		assert_true(bytes_equal(r.custom, bytes_of_string(cases[i].words)));
	}
}

static void
tables_that_cannot_be_read_are_a_temporary_trouble(void **state)
{
	struct control none = CONTROL_NONE;

	(void)state;
	(void)mail("h.example", "a@b.example", false);
	settings.control = &none;
	assert_int_equal(rcpt("joe@mx.example.org").answer.code, 451); /* rcpthosts */
	client.relays = true;
	assert_int_equal(rcpt("joe@mx.example.org").answer.code, 451); /* users */
	assert_int_equal(rcpt("nobody@mx.example.org").answer.code, 451);
}

static void
without_memory_a_recipient_is_told_to_come_again(void **state)
{
	char address[64];
	unsigned refused = 0;

	(void)state;
	(void)mail("h.example", "a@b.example", false);
	for (unsigned i = 0; i < 100; i++) {
		struct reply r;

		fail_allocation(1);
		(void)snprintf(address, sizeof address, "joe@mx.example.org");
		r = rcpt(address);
		if (allocation_failed()) {
			refused++;
			assert_int_equal(r.answer.code, 452);
			assert_int_equal(rcpt(address).answer.code, 250); /* and then it comes again */
		} else
			assert_int_equal(r.answer.code, 250);
	}
	assert_true(refused > 2);
	assert_int_equal(envelope.n_recipients, 100);
}

static void
assert_trace(const char *want)
{
	uint8_t room[PQ_TRACE_MAX];
	struct buf text = BUF_OVER(room);
	size_t id_at;

	trace_put(&text, &client, &envelope, 1795414901, &id_at);
	assert_false(text.failed);
	assert_true(id_at < text.len);
	assert_int_equal(text.len, strlen(want));
	assert_memory_equal(text.at, want, text.len);
}

static void
a_trace_field_has_the_words_of_its_rfcs(void **state)
{
	(void)state;
	(void)mail("h.example", "a@b.example", false);
	assert_int_equal(rcpt("joe@mx.example.org").answer.code, 250);
	assert_trace("Received: from h.example (unknown [192.0.2.5])\r\n\tby mx.example.org with ESMTP id \r\n"
		     "\tfor <joe@mx.example.org>;\r\n\tMon, 23 Nov 2026 06:21:41 +0000\r\n");
	assert_int_equal(rcpt("joe@mx.example.org").answer.code, 250);
	envelope.helo_kind = SP_HELO;
	client.host = BYTES("c.example");
	assert_trace("Received: from h.example (c.example [192.0.2.5])\r\n\tby mx.example.org with SMTP id ;\r\n"
		     "\tMon, 23 Nov 2026 06:21:41 +0000\r\n");
	(void)mail("", "", true);
	client.is_local_program = true;
	client.peer.uid = 1000;
	assert_trace("Received: from unknown (local program, uid 1000)\r\n\tby mx.example.org with UTF8SMTP id ;\r\n"
		     "\tMon, 23 Nov 2026 06:21:41 +0000\r\n");
}

/* A login name is half of what somebody needs who guesses passwords. */
static void
the_login_name_stands_in_the_trace_field_only_if_the_item_says_so(void **state)
{
	(void)state;
	for (int shown = 0; shown <= 1; shown++) {
		uint8_t room[PQ_TRACE_MAX];
		struct buf text = BUF_OVER(room);
		size_t id_at;

		(void)mail("h.example", "a@b.example", false);
		client.user = BYTES("joe@login.example");
		settings.received_user = shown != 0;
		trace_put(&text, &client, &envelope, 0, &id_at);
		assert_non_null(buf_string(&text));
		assert_non_null(strstr((const char *)room, " with ESMTPA id "));
		assert_int_equal(strstr((const char *)room, "joe@login.example") != NULL, shown);
	}
}

/* Whatever a front end that was taken over says: no line ends early, no comment opens, nothing is too long. */
static void
no_octet_of_a_name_can_forge_a_field(void **state)
{
	char name[SP_HELO_MAX + 1];

	(void)state;
	for (unsigned c = 1; c < 256; c++) {
		uint8_t room[PQ_TRACE_MAX];
		struct buf text = BUF_OVER(room);
		size_t id_at, lines = 0;

		memset(name, (int)c, sizeof name - 1);
		name[sizeof name - 1] = '\0';
		(void)mail(name, "a@b.example", false);
		client.host = bytes_of_string(name);
		trace_put(&text, &client, &envelope, 0, &id_at);
		assert_false(text.failed);
		for (size_t i = 0; i < text.len; i++) {
			lines += text.at[i] == '\n';
			assert_true(text.at[i] >= ' ' || memchr("\r\n\t", text.at[i], 3) != NULL);
			assert_true(text.at[i] < 0x7f);
		}
		assert_int_equal(lines, 3);
		if (memchr("()<>\"\\,; ", (int)c, 9) != NULL)
			assert_null(memmem(room, text.len, name, 2));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_refusal_says_the_words_of_its_variable_or_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tables_that_cannot_be_read_are_a_temporary_trouble, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    only_a_program_of_this_host_may_have_a_reverse_path_for_each_recipient, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_helo_name_is_compared_with_the_peer_s, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_memory_a_recipient_is_told_to_come_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_trace_field_has_the_words_of_its_rfcs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    the_login_name_stands_in_the_trace_field_only_if_the_item_says_so, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_octet_of_a_name_can_forge_a_field, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
