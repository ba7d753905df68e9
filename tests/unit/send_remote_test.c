/* Deliveries to other hosts: what a session's answers mean, for recipients, reports and the host.
 * The test plays queue and the sessions of remote.
 * Nothing here depends on how fast the machine is, but for a patience of some seconds. */
#include "unit.h"

#include "send_rig.h"
#include "sys/clock.h"

#include <stdio.h>
#include <string.h>

static const struct srig_recipient one[] = { { "a@far.example", 0 } };

static void
what_was_not_tried_goes_again_at_once_and_first(void **state)
{
	struct srig_message m[RM_IN_FLIGHT + 1];
	struct channel session;
	uint64_t refs[RM_IN_FLIGHT];

	(void)state;
	dir_put(&srig_dir, "concurrencydestination", "1\n");
	srig_start();
	for (size_t i = 0; i < nitems(m); i++) {
		m[i] = srig_from("s@far.example");
		announce(&m[i]);
	}
	session = expect_session("far.example");
	for (size_t i = 0; i < RM_IN_FLIGHT; i++)
		refs[i] = expect_transaction(&session, &m[i], 1, "a@far.example");
	remote_answer(&session, refs[0], RM_DELIVERED, RM_OF_RECIPIENT, true, "250 ok");
	expect_done(&m[0]);
	for (size_t i = 1; i < RM_IN_FLIGHT; i++)
		remote_answer(&session, refs[i], RM_UNTRIED, RM_OF_RECIPIENT, true, "");
	channel_close(&session);
	session = expect_session("far.example");
	for (size_t i = 1; i < nitems(m); i++)
		expect_delivered(&session, &m[i]);
	channel_close(&session);
}

static void
a_dead_host_is_not_asked_for_each_message(void **state)
{
	struct srig_message m[40];
	struct channel session;
	uint64_t due_s = 0;

	(void)state;
	for (size_t i = 0; i < nitems(m); i++)
		m[i] = srig_from(i % 3 == 0 ? "s@far.example" : "t@far.example");
	srig_start();
	announce(&m[0]);
	session = expect_session("far.example");
	remote_answer(&session, expect_transaction(&session, &m[0], 1, "a@far.example"), RM_TEMPORARY, RM_OF_PEER, true,
	    "connection refused");
	expect_status(&m[0], 0, STORE_WAITING, "4.4.4 connection refused");
	(void)expect_later(&m[0]);
	for (size_t i = 1; i < nitems(m); i++) {
		announce(&m[i]);
		expect_status(&m[i], 0, STORE_WAITING, "4.4.4 connection refused");
		due_s = expect_later(&m[i]);
	}
	assert_true(due_s >= clock_wall_s() + 59); /* not before it may be tried */
	expect_silence(&srig_remote, 20);
	channel_close(&session);
	srig_say(QS_RETRY, &m[7]); /* the administrator knows better */
	answer_fetch(&m[7], expect_fetch(&m[7]));
	session = expect_session("far.example");
	expect_delivered(&session, &m[7]);
	m[0] = srig_from("s@far.example");
	announce(&m[0]);
	expect_delivered(&session, &m[0]);
	channel_close(&session);
}

static const struct srig_recipient without_report[] = { { "a@far.example", 1 } };

/* n messages come to their end, in whatever order: failed, and done. */
static void
expect_failures(size_t n)
{
	static struct wire_buffer room;
	size_t failed = 0, done = 0;

	while (failed < n || done < n) {
		struct wire_message w;
		struct why why = WHY_NONE;

		assert_int_equal(channel_receive(&srig_queue, &room, &w, &why), OK);
		if (w.type == QS_STATUS)
			assert_int_equal(((const struct qs_status *)w.body)->status, STORE_FAILED);
		failed += w.type == QS_STATUS;
		done += w.type == QS_DONE;
	}
	assert_int_equal(failed, done);
}

static void
a_host_that_never_was_fails_all_that_waits_for_it(void **state)
{
	struct srig_message m[6];
	struct channel session, local;
	uint64_t report;

	(void)state;
	for (size_t i = 0; i < nitems(m); i++)
		m[i] = srig_message(0, 0, "s@far.example", i == 0 ? one : without_report, 1);
	dir_put(&srig_dir, "concurrencydestination", "1\n");
	srig_start();
	for (size_t i = 0; i < nitems(m); i++)
		announce(&m[i]);
	session = expect_session("far.example");
	local = expect_all_read();
	remote_answer(&session, expect_transaction(&session, &m[0], 1, "a@far.example"), RM_PERMANENT, RM_OF_PEER, true,
	    "no such domain");
	for (unsigned i = 1; i < RM_IN_FLIGHT; i++)
		remote_answer(&session, expect_transaction(&session, &m[i], 1, "a@far.example"), RM_PERMANENT,
		    RM_OF_PEER, true, "no such domain");
	expect_status(&m[0], 0, STORE_FAILED, "5.4.4 no such domain");
	expect_failures(nitems(m) - 1); /* those that no session ever had, too */
	assert_non_null(strstr(expect_report("s@far.example", PQ_COMPLETE | PQ_BOUNCE, &report),
	    "Status: 5.4.4\r\nDiagnostic-Code: x-postern; no such domain\r\n"));
	report_committed(report);
	expect_done(&m[0]);
	expect_silence(&srig_remote, 20);
	channel_close(&session);
	channel_close(&local);
}

static void
a_session_that_dies_defers_what_it_was_at_and_no_more(void **state)
{
	struct srig_message m[3] = { srig_from("s@far.example"), srig_from("s@far.example"),
		srig_from("s@far.example") };
	struct channel session;

	(void)state;
	srig_start();
	announce(&m[0]);
	session = expect_session("far.example");
	expect_delivered(&session, &m[0]);
	announce(&m[1]);
	announce(&m[2]);
	(void)expect_transaction(&session, &m[1], 1, "a@far.example");
	(void)expect_transaction(&session, &m[2], 1, "a@far.example");
	remote_result(&session, 2, 0, RM_TEMPORARY, "not final");
	channel_close(&session);
	session = expect_session("far.example");
	expect_delivered(&session, &m[1]); /* perhaps the peer had just closed: once more */
	(void)expect_transaction(&session, &m[2], 1, "a@far.example");
	channel_close(&session);
	session = expect_session("far.example");
	(void)expect_transaction(&session, &m[2], 1, "a@far.example");
	channel_close(&session); /* it is not given a third chance now */
	expect_status(&m[2], 0, STORE_WAITING, "4.3.0 ");
	(void)expect_later(&m[2]);
	expect_silence(&srig_remote, 20);
}

static void
a_session_that_talks_nonsense_is_not_listened_to(void **state)
{
	struct srig_message m[2] = { srig_from("s@far.example"), srig_simple("a@other.example") };
	struct channel session, other;

	(void)state;
	srig_start();
	announce(&m[0]);
	announce(&m[1]);
	session = expect_session("far.example");
	other = expect_session("other.example");
	remote_answer(&session, expect_transaction(&session, &m[0], 1, "a@far.example") + 1, RM_DELIVERED,
	    RM_OF_RECIPIENT, false, "250 of what?");
	expect_status(&m[0], 0, STORE_WAITING, "4.3.0 ");
	(void)expect_later(&m[0]);
	remote_answer(&other, expect_transaction(&other, &m[1], 1, "a@other.example"), RM_DELIVERED, RM_OF_RECIPIENT,
	    false, "250 ok");
	expect_done(&m[1]);
	channel_close(&session);
	channel_close(&other);
}

static void
who_is_refused_is_reported_and_the_others_are_delivered(void **state)
{
	static const struct srig_recipient three[] = { { "a@far.example", 0 }, { "b@far.example", 0 },
		{ "c@far.example", 0 } };
	struct srig_message m = srig_message(0, 0, "s@far.example", three, 3);
	struct channel session;
	uint64_t ref, report;
	const char *text;

	(void)state;
	srig_start();
	announce(&m);
	session = expect_session("far.example");
	ref = expect_transaction(&session, &m, 3, "a@far.example");
	remote_result(&session, ref, 1, RM_PERMANENT, "550 5.1.1 no b here");
	expect_silence(&srig_queue, 20); /* nothing is final yet */
	remote_answer(&session, ref, RM_DELIVERED, RM_OF_RECIPIENT, false, "250 ok");
	expect_status(&m, 0, STORE_DELIVERED, "");
	expect_status(&m, 1, STORE_FAILED, "5.1.1 smtp;mx.far.example 550 5.1.1 no b here");
	expect_status(&m, 2, STORE_DELIVERED, "");
	text = expect_report("s@far.example", PQ_COMPLETE | PQ_BOUNCE, &report);
	assert_non_null(strstr(text, "Diagnostic-Code: smtp; 550 5.1.1 no b here\r\n"));
	assert_null(strstr(text, "a@far.example"));
	report_committed(report);
	expect_done(&m);
	channel_close(&session);
}

static void
recipients_that_were_too_many_go_in_another_transaction(void **state)
{
	static const struct srig_recipient two[] = { { "a@far.example", 0 }, { "b@far.example", 0 } };
	struct srig_message m = srig_message(0, 0, "s@far.example", two, 2);
	struct rm_result too_many = { .recipient = 1, .outcome = RM_TEMPORARY, .enhanced = { 4, 5, 3 } };
	struct channel session;
	struct why why = WHY_NONE;
	uint64_t ref;

	(void)state;
	srig_start();
	announce(&m);
	session = expect_session("far.example");
	ref = expect_transaction(&session, &m, 2, "a@far.example");
	assert_int_equal(channel_send(&session, RM_RESULT, ref, &too_many, BYTES("452 4.5.3 one"), NULL, &why), OK);
	remote_answer(&session, ref, RM_DELIVERED, RM_OF_RECIPIENT, false, "250 ok");
	expect_status(&m, 0, STORE_DELIVERED, "");
	ref = expect_transaction(&session, &m, 1, "b@far.example");
	remote_answer(&session, ref, RM_DELIVERED, RM_OF_RECIPIENT, false, "250 ok");
	expect_status(&m, 1, STORE_DELIVERED, "");
	expect_done(&m);
	channel_close(&session);
}

/* 552 to all but one, of old: the one has its end, and the others are asked for at once, whatever becomes of the content. */
static void
too_many_are_asked_again_at_once_also_if_the_content_is_refused(void **state)
{
	static const struct srig_recipient two[] = { { "a@far.example", 1 }, { "b@far.example", 1 } };
	struct srig_message m = srig_message(0, 0, "s@far.example", two, 2);
	struct rm_result too_many = { .recipient = 1, .outcome = RM_TEMPORARY, .enhanced = { 4, 5, 3 } };
	struct channel session;
	struct why why = WHY_NONE;
	uint64_t ref;

	(void)state;
	srig_start();
	announce(&m);
	session = expect_session("far.example");
	ref = expect_transaction(&session, &m, 2, "a@far.example");
	assert_int_equal(channel_send(&session, RM_RESULT, ref, &too_many, BYTES("552 one"), NULL, &why), OK);
	remote_answer(&session, ref, RM_PERMANENT, RM_OF_RECIPIENT, false, "554 no");
	expect_status(&m, 0, STORE_FAILED, "5.4.4 ");
	ref = expect_transaction(&session, &m, 1, "b@far.example");
	/* one that takes nobody is not asked again at once */
	too_many.recipient = 0;
	assert_int_equal(channel_send(&session, RM_RESULT, ref, &too_many, BYTES("452 4.5.3 none"), NULL, &why), OK);
	remote_answer(&session, ref, RM_TEMPORARY, RM_OF_RECIPIENT, false, "no recipient was accepted");
	expect_status(&m, 1, STORE_WAITING, "4.5.3 ");
	(void)expect_later(&m);
	channel_close(&session);
}

static void
a_status_of_three_digits_is_in_note_and_report(void **state)
{
	struct srig_message m = srig_message(0, 0, "s@far.example", one, 1);
	struct rm_result refused = { .outcome = RM_PERMANENT, .enhanced = { 5, 7, 509 } };
	struct channel session;
	struct why why = WHY_NONE;
	uint64_t ref, report;

	(void)state;
	srig_start();
	announce(&m);
	session = expect_session("far.example");
	ref = expect_transaction(&session, &m, 1, "a@far.example");
	assert_int_equal(channel_send(&session, RM_RESULT, ref, &refused, BYTES("550 5.7.509 no"), NULL, &why), OK);
	remote_answer(&session, ref, RM_TEMPORARY, RM_OF_RECIPIENT, false, "no recipient was accepted");
	expect_status(&m, 0, STORE_FAILED, "5.7.509 smtp;mx.far.example 550 5.7.509 no");
	assert_non_null(strstr(
	    expect_report("s@far.example", PQ_COMPLETE | PQ_BOUNCE, &report), "Action: failed\r\nStatus: 5.7.509\r\n"));
	report_committed(report);
	expect_done(&m);
	channel_close(&session);
}

static void
a_status_of_three_digits_comes_back_from_an_earlier_note(void **state)
{
	static const struct srig_recipient two[] = { { "a@far.example", 0 }, { "b@far.example", 0 } };
	struct srig_message m = srig_message(0, 0, "s@far.example", two, 2);
	struct store_message stored;
	struct store_notes notes;
	struct channel session;
	struct why why = WHY_NONE;
	uint64_t report;

	(void)state;
	assert_int_equal(store_read(m.fd, &stored, &why), OK);
	store_notes_begin(&notes, m.fd, &stored);
	assert_int_equal(store_put_note(m.fd, &notes.at, 0, BYTES("5.7.509 smtp;mx.far.example 550 5.7.509 no")), OK);
	assert_int_equal(store_put_status(m.fd, 0, STORE_FAILED), OK);
	store_message_free(&stored);
	srig_start();
	announce(&m);
	session = expect_session("far.example");
	remote_answer(&session, expect_transaction(&session, &m, 1, "b@far.example"), RM_DELIVERED, RM_OF_RECIPIENT,
	    false, "250 ok");
	expect_status(&m, 1, STORE_DELIVERED, "");
	assert_non_null(strstr(expect_report("s@far.example", PQ_COMPLETE | PQ_BOUNCE, &report),
	    "Status: 5.7.509\r\nRemote-MTA: dns; mx.far.example\r\nDiagnostic-Code: smtp; 550 5.7.509 no\r\n"));
	report_committed(report);
	expect_done(&m);
	channel_close(&session);
}

static void
answer_in_doubt(struct channel *session, uint64_t ref)
{
	struct rm_done body = { .outcome = RM_TEMPORARY, .enhanced = { 4, 4, 2 }, .duplicate = 1, .closing = RM_LOST };
	uint8_t room[200];
	struct buf tail = BUF_OVER(room);
	struct why why = WHY_NONE;

	for (int i = 0; i < RM_DONE_FIELDS; i++)
		wire_put_string(&tail, i == 0 ? "mx.far.example" : "");
	assert_int_equal(channel_send(session, RM_DONE, ref, &body, buf_bytes(&tail), NULL, &why), OK);
}

static void
a_message_that_a_peer_may_have_taken_again_and_again_is_held_back(void **state)
{
	const uint64_t age_s = 100000;
	struct srig_message first = srig_message(age_s, 0, "s@far.example", one, 1);
	struct srig_message again = srig_message(age_s, 0, "s@far.example", one, 1);
	struct channel session;
	uint64_t now = clock_wall_s(), due_s;

	(void)state;
	dir_put(&srig_dir, "queuelifetime", "604800\n");
	assert_int_equal(store_put_later(again.fd, 1, now - 1), OK);
	srig_start();
	announce(&first);
	session = expect_session("far.example");
	answer_in_doubt(&session, expect_transaction(&session, &first, 1, "a@far.example"));
	channel_close(&session);
	expect_status(&first, 0, STORE_WAITING, "4.4.2 ");
	due_s = expect_later(&first);
	assert_true(due_s < now + age_s / 2); /* once may be chance */
	announce(&again);
	session = expect_session("far.example");
	answer_in_doubt(&session, expect_transaction(&session, &again, 1, "a@far.example"));
	channel_close(&session);
	expect_status(&again, 0, STORE_WAITING, "4.4.2 ");
	due_s = expect_later(&again);
	assert_in_range(due_s, now + 3 * age_s, now + 3 * age_s + 60);
}

static void
a_report_needs_smtputf8_only_if_it_shows_such_octets(void **state)
{
	static const struct srig_recipient odd[] = { { "\xc3\xb6@far.example", 0 } };
	struct srig_message plain = srig_message(0, STORE_SMTPUTF8 | STORE_8BITMIME, "s@far.example", one, 1);
	struct srig_message needs = srig_message(0, STORE_SMTPUTF8 | STORE_8BITMIME, "s@far.example", odd, 1);
	struct channel session;
	uint64_t report;

	(void)state;
	srig_start();
	announce(&plain);
	session = expect_session("far.example");
	remote_answer(&session, expect_transaction(&session, &plain, 1, "a@far.example"), RM_PERMANENT, RM_OF_RECIPIENT,
	    false, "554 no");
	expect_status(&plain, 0, STORE_FAILED, "5.4.4 ");
	assert_non_null(strstr(expect_report("s@far.example", PQ_COMPLETE | PQ_BOUNCE | PQ_8BITMIME, &report),
	    "Final-Recipient: rfc822;a@far.example\r\n"));
	report_committed(report);
	expect_done(&plain);
	announce(&needs);
	remote_answer(&session, expect_transaction(&session, &needs, 1, odd[0].address), RM_PERMANENT, RM_OF_RECIPIENT,
	    false, "554 no");
	expect_status(&needs, 0, STORE_FAILED, "5.4.4 ");
	assert_non_null(
	    strstr(expect_report("s@far.example", PQ_COMPLETE | PQ_BOUNCE | PQ_8BITMIME | PQ_SMTPUTF8, &report),
		"Final-Recipient: utf-8;\xc3\xb6@far.example\r\n"));
	report_committed(report);
	expect_done(&needs);
	channel_close(&session);
}

static void
who_asks_for_a_report_hears_from_the_last_host_that_makes_them(void **state)
{
	static const struct srig_recipient wants = { "a@far.example", 2 };
	struct srig_message relayed = srig_message(0, 0, "s@far.example", &wants, 1);
	struct srig_message passed_on = srig_message(0, 0, "s@far.example", &wants, 1);
	struct rm_done done = { .outcome = RM_DELIVERED, .dsn = 1 };
	struct channel session;
	struct why why = WHY_NONE;
	uint8_t room[100];
	struct buf fields = BUF_OVER(room);
	uint64_t report;

	(void)state;
	srig_start();
	announce(&relayed);
	session = expect_session("far.example");
	remote_answer(&session, expect_transaction(&session, &relayed, 1, "a@far.example"), RM_DELIVERED,
	    RM_OF_RECIPIENT, false, "250 ok");
	expect_status(&relayed, 0, STORE_DELIVERED, "");
	assert_non_null(strstr(expect_report("s@far.example", PQ_COMPLETE | PQ_BOUNCE, &report),
	    "Action: relayed\r\nStatus: 2.4.4\r\nRemote-MTA: dns; mx.far.example\r\n"));
	report_committed(report);
	expect_done(&relayed);
	announce(&passed_on);
	for (int i = 0; i < RM_DONE_FIELDS; i++)
		wire_put_string(&fields, i == 0 ? "mx.far.example" : "");
	assert_int_equal(channel_send(&session, RM_DONE, expect_transaction(&session, &passed_on, 1, "a@far.example"),
			     &done, buf_bytes(&fields), NULL, &why),
	    OK);
	expect_status(&passed_on, 0, STORE_REPORTED, "");
	expect_done(&passed_on);
	channel_close(&session);
}

#define rig(test) cmocka_unit_test_setup_teardown(test, srig_set_up, srig_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig(what_was_not_tried_goes_again_at_once_and_first),
		rig(a_dead_host_is_not_asked_for_each_message),
		rig(a_host_that_never_was_fails_all_that_waits_for_it),
		rig(a_session_that_dies_defers_what_it_was_at_and_no_more),
		rig(a_session_that_talks_nonsense_is_not_listened_to),
		rig(who_is_refused_is_reported_and_the_others_are_delivered),
		rig(recipients_that_were_too_many_go_in_another_transaction),
		rig(too_many_are_asked_again_at_once_also_if_the_content_is_refused),
		rig(a_status_of_three_digits_is_in_note_and_report),
		rig(a_status_of_three_digits_comes_back_from_an_earlier_note),
		rig(a_message_that_a_peer_may_have_taken_again_and_again_is_held_back),
		rig(a_report_needs_smtputf8_only_if_it_shows_such_octets),
		rig(who_asks_for_a_report_hears_from_the_last_host_that_makes_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
