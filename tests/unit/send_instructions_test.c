/* Tests of `send` with .qmail files: the test is queue, lspawn, pspawn, and the user's local, instruct and pipe. */
#include "unit.h"

#include "mail/dotqmail.h"
#include "send_rig.h"
#include "wire/send_instruct.h"
#include "wire/send_pipe.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The next process that is asked for: its end of the channel. */
static struct channel
spawned(struct channel *spawner, uint32_t what, const struct wire_protocol *protocol)
{
	struct wire_message m = srig_receive(spawner, SL_SPAWN);
	const uint32_t *asked = m.body;

	assert_int_equal(*asked, what);
	srig_be_patient(m.fds[0]);
	return channel_of(m.fds[0], protocol, WIRE_SECOND, true);
}

/* From local's answer that there is a .qmail to the question to instruct. */
static struct channel
asked(struct channel *local, const struct srig_message *m, const char *recipient, uint64_t *ref)
{
	struct channel instruct;
	struct wire_message ask;

	deliver_answer(local, expect_delivery(local, m, recipient), SD_INSTRUCTED, "");
	instruct = spawned(&srig_lspawn, SL_INSTRUCT, &send_instruct_protocol);
	ask = srig_receive(&instruct, SI_ASK);
	*ref = ask.ref;
	return instruct;
}

struct line {
	enum dotqmail_kind kind;
	const char *text;
};

static void
put_items(struct channel *instruct, uint64_t ref, const struct line *lines, unsigned n)
{
	struct si_items items = { n };
	uint8_t room[4000];
	struct buf tail = BUF_OVER(room);
	struct why why = WHY_NONE;

	for (unsigned i = 0; i < n; i++) {
		uint8_t kind = (uint8_t)lines[i].kind;

		wire_put(&tail, bytes_of(&kind, 1));
		wire_put_string(&tail, lines[i].text);
	}
	assert_int_equal(channel_send(instruct, SI_ITEMS, ref, &items, buf_bytes(&tail), NULL, &why), OK);
}

static enum result
say_answer(struct channel *instruct, uint64_t ref, struct si_answer answer, const char *text)
{
	uint8_t room[600];
	struct buf tail = BUF_OVER(room);
	struct why why = WHY_NONE;

	wire_put_string(&tail, text);
	wire_put_string(&tail, "rest");
	return channel_send(instruct, SI_ANSWER, ref, &answer, buf_bytes(&tail), NULL, &why);
}

static void
put_answer(struct channel *instruct, uint64_t ref, struct si_answer answer, const char *text)
{
	assert_int_equal(say_answer(instruct, ref, answer, text), OK);
}

static void
put_list(struct channel *instruct, uint64_t ref, const struct line *lines, unsigned n)
{
	put_items(instruct, ref, lines, n);
	put_answer(instruct, ref, (struct si_answer){ .fingerprint = 0xfeed, .n_items = n }, "");
}

static void
expect_path(struct channel *local, const char *path, uint32_t flags, uint64_t *ref)
{
	struct wire_message m = srig_receive(local, SD_DELIVER);
	struct bytes fields[4];

	wire_close_fds(&m);
	assert_true(wire_take_all(m.tail, fields, 4));
	assert_true(bytes_equal(fields[2], bytes_of_string(path)));
	assert_int_equal(((const struct sd_deliver *)m.body)->flags, flags);
	*ref = m.ref;
}

static uint64_t
expect_program(struct channel *pipe, const char *command)
{
	struct wire_message m = srig_receive(pipe, PI_RUN);
	struct bytes fields[PI_RUN_FIELDS];

	wire_close_fds(&m);
	assert_true(wire_take_all(m.tail, fields, PI_RUN_FIELDS));
	assert_true(bytes_equal(fields[0], bytes_of_string(command)));
	assert_true(bytes_equal(fields[1], BYTES("sender@far.example")) && bytes_equal(fields[3], BYTES("joe")));
	assert_int_equal(((const struct pi_run *)m.body)->limit_s, 3600);
	return m.ref;
}

static void
program_ended(struct channel *pipe, uint64_t ref, enum pi_outcome outcome, uint32_t code, const char *said)
{
	struct pi_result r = { .outcome = (uint8_t)outcome, .code = code };
	struct why why = WHY_NONE;

	assert_int_equal(channel_send(pipe, PI_RESULT, ref, &r, bytes_of_string(said), NULL, &why), OK);
}

/* A forward from PQ_OPEN to PQ_COMMIT; its recipients, each with a blank behind it. */
static const char *
expect_forward(const char *reverse, uint32_t flags, uint64_t *ref)
{
	static char recipients[8000];
	struct wire_message m = srig_receive(&srig_bounces, PQ_OPEN);
	uint32_t n = ((const struct pq_open *)m.body)->n_recipients;
	struct pq_writer writer = { .id = "0000000000b" };
	struct bytes rest = m.tail, field;
	struct buf all = buf_over(recipients, sizeof recipients);
	struct why why = WHY_NONE;
	int fd = memfd_create("forward", MFD_CLOEXEC);
	bool complete = (((const struct pq_open *)m.body)->flags & PQ_COMPLETE) != 0;
	unsigned got = 0;

	*ref = m.ref;
	assert_int_equal(((const struct pq_open *)m.body)->flags & ~(uint32_t)PQ_COMPLETE, flags);
	assert_true(wire_take(&rest, &field) && bytes_equal(field, bytes_of_string(reverse)));
	for (int i = 0; i < 4; i++)
		assert_true(wire_take(&rest, &field));
	for (;; rest = m.tail) {
		for (unsigned i = 0; wire_take(&rest, &field); i++)
			if (i % 3 == 0) {
				buf_add(&all, field);
				buf_add_octet(&all, ' ');
				got++;
			}
		if (complete)
			break;
		m = srig_receive(&srig_bounces, PQ_MORE);
		complete = (((const struct pq_more *)m.body)->flags & PQ_COMPLETE) != 0;
	}
	assert_int_equal(got, n);
	assert_int_equal(channel_send(&srig_bounces, PQ_WRITER, *ref, &writer, BYTES_NONE, &fd, &why), OK);
	m = srig_receive(&srig_bounces, PQ_COMMIT);
	assert_int_equal(m.ref, *ref);
	(void)close(fd);
	return buf_string(&all);
}

static const struct line mixed[] = { { DOTQMAIL_MAILDIR, "./one" }, { DOTQMAIL_FORWARD, "a@b.example" },
	{ DOTQMAIL_PROGRAM, "run it" }, { DOTQMAIL_FORWARD, " c " }, { DOTQMAIL_MBOX, "/home/joe/x/mbox" } };

static void
instructions_are_carried_out_in_order_and_recorded(void **state)
{
	struct srig_message m = srig_simple("joe@local.example");
	struct channel local, instruct, pipe;
	uint64_t ref;

	(void)state;
	srig_start();
	announce(&m);
	local = expect_spawn(2001);
	instruct = asked(&local, &m, "joe@local.example", &ref);
	put_list(&instruct, ref, mixed, nitems(mixed));
	expect_path(&local, "one", SD_MAKE_MAILDIR, &ref);
	deliver_answer(&local, ref, SD_DELIVERED, "");
	expect_status(&m, 0, STORE_WAITING, ":qmail 000000000000feed 1");
	pipe = spawned(&srig_pspawn, 0, &send_pipe_protocol);
	program_ended(&pipe, expect_program(&pipe, "run it"), PI_EXITED, 0, "words");
	expect_status(&m, 0, STORE_WAITING, ":qmail 000000000000feed 3");
	expect_path(&local, "x/mbox", SD_MAKE_MAILDIR | SD_MBOX, &ref);
	deliver_answer(&local, ref, SD_DELIVERED, "");
	expect_status(&m, 0, STORE_WAITING, ":qmail 000000000000feed 5");
	assert_string_equal(expect_forward("sender@far.example", 0, &ref), "a@b.example c@mx.example.org ");
	report_committed(ref);
	expect_done(&m);
	channel_close(&pipe);
	channel_close(&instruct);
	channel_close(&local);
}

/* As queue writes them behind the content. */
static void
put_note(const struct srig_message *m, const char *text)
{
	uint64_t end = (uint64_t)lseek(m->fd, 0, SEEK_END);

	assert_int_equal(store_put_note(m->fd, &end, 0, bytes_of_string(text)), OK);
}

static void
a_retry_begins_where_the_record_of_this_very_list_says(void **state)
{
	static const struct {
		const char *note;
		const char *path; /* of the first delivery; null: it is the program */
	} rows[] = { { ":qmail 000000000000feed 1", NULL }, { ":qmail 000000000000beef 1", "one" },
		{ ":qmail 000000000000feed 9", "one" }, { ":qmail 000000000000feed", "one" },
		{ "4.3.0 :qmail 000000000000feed 1", "one" }, { ":qmail 000000000000feed 3", "x/mbox" } };

	(void)state;
	srig_start();
	for (size_t i = 0; i < nitems(rows); i++) {
		struct srig_message m = srig_simple("joe@local.example");
		struct channel local, instruct, pipe;
		uint64_t ref;

		put_note(&m, "4.2.1 earlier");
		put_note(&m, rows[i].note);
		put_note(&m, "4.2.1 later");
		announce(&m);
		local = expect_spawn(2001);
		instruct = asked(&local, &m, "joe@local.example", &ref);
		put_list(&instruct, ref, mixed, nitems(mixed));
		if (rows[i].path == NULL) {
			pipe = spawned(&srig_pspawn, 0, &send_pipe_protocol);
			program_ended(&pipe, expect_program(&pipe, "run it"), PI_EXITED, 100, "no (#5.2.2)");
			channel_close(&pipe);
			expect_status(&m, 0, STORE_FAILED, "5.2.2 no");
		} else {
			expect_path(&local, rows[i].path,
			    SD_MAKE_MAILDIR | (strchr(rows[i].path, '/') != NULL ? SD_MBOX : 0), &ref);
			deliver_answer(&local, ref, SD_PERMANENT, "refused");
			expect_status(&m, 0, STORE_FAILED, "5.2.3 refused");
		}
		(void)expect_report("sender@far.example", PQ_COMPLETE | PQ_BOUNCE, &ref);
		report_committed(ref);
		expect_done(&m);
		channel_close(&instruct);
		channel_close(&local);
		srig_tear_down(state);
		srig_set_up(state);
		srig_start();
	}
}

static void
a_stop_ends_the_list_and_what_was_to_be_forwarded_before_it_goes(void **state)
{
	static const struct line lines[] = { { DOTQMAIL_FORWARD, "a@b.example" }, { DOTQMAIL_PROGRAM, "run it" },
		{ DOTQMAIL_FORWARD, "c@d.example" } };
	struct srig_message m = srig_simple("joe@local.example");
	struct channel local, instruct, pipe;
	uint64_t ref;

	(void)state;
	srig_start();
	announce(&m);
	local = expect_spawn(2001);
	instruct = asked(&local, &m, "joe@local.example", &ref);
	put_list(&instruct, ref, lines, nitems(lines));
	pipe = spawned(&srig_pspawn, 0, &send_pipe_protocol);
	program_ended(&pipe, expect_program(&pipe, "run it"), PI_EXITED, 99, "");
	expect_status(&m, 0, STORE_WAITING, ":qmail 000000000000feed 2 stop");
	assert_string_equal(expect_forward("sender@far.example", 0, &ref), "a@b.example ");
	report_failed(ref);
	expect_status(&m, 0, STORE_WAITING, "4.3.0 the message can't be forwarded now");
	(void)expect_later(&m);
	channel_close(&pipe);
	channel_close(&instruct);
	channel_close(&local);
}

static void
what_is_no_address_is_reported_and_the_others_get_the_mail(void **state)
{
	static const struct line lines[] = { { DOTQMAIL_FORWARD, "a@b.example> NOTIFY=NEVER" },
		{ DOTQMAIL_FORWARD, "" }, { DOTQMAIL_FORWARD, "x\001@b.example" },
		{ DOTQMAIL_FORWARD, "c@d.example" } };
	struct srig_message m = srig_simple("joe@local.example");
	struct channel local, instruct;
	uint64_t ref;

	(void)state;
	srig_start();
	announce(&m);
	local = expect_spawn(2001);
	instruct = asked(&local, &m, "joe@local.example", &ref);
	put_list(&instruct, ref, lines, nitems(lines));
	assert_string_equal(expect_forward("sender@far.example", 0, &ref), "c@d.example ");
	report_committed(ref);
	expect_status(
	    &m, 0, STORE_FAILED, "5.1.3 the .qmail file forwards to what is no address: a@b.example> NOTIFY=NEVER");
	(void)expect_report("sender@far.example", PQ_COMPLETE | PQ_BOUNCE, &ref);
	report_committed(ref);
	expect_done(&m);
	channel_close(&instruct);
	channel_close(&local);
}

static void
an_owner_is_the_sender_of_what_is_forwarded(void **state)
{
	static const struct line lines[] = { { DOTQMAIL_FORWARD, "a@b.example" } };
	static const struct {
		uint8_t owner;
		const char *sender;
		uint32_t flags;
	} rows[] = { { SI_SAME, "sender@far.example", 0 }, { SI_OWNER, "joe-owner@local.example", 0 },
		{ SI_VERP, "joe-owner-@local.example", PQ_VERP } };

	(void)state;
	srig_start();
	for (size_t i = 0; i < nitems(rows); i++) {
		struct srig_message m = srig_simple("joe@local.example");
		struct channel local, instruct;
		uint64_t ref;

		announce(&m);
		local = expect_spawn(2001);
		instruct = asked(&local, &m, "joe@local.example", &ref);
		put_items(&instruct, ref, lines, 1);
		put_answer(&instruct, ref, (struct si_answer){ .n_items = 1, .owner = rows[i].owner }, "");
		(void)expect_forward(rows[i].sender, rows[i].flags, &ref);
		report_committed(ref);
		expect_done(&m);
		channel_close(&instruct);
		channel_close(&local);
		srig_tear_down(state);
		srig_set_up(state);
		srig_start();
	}
}

static void
many_addresses_are_one_message(void **state)
{
	static char text[40];
	struct line line = { DOTQMAIL_FORWARD, text };
	struct srig_message m = srig_simple("joe@local.example");
	struct channel local, instruct;
	uint64_t ref;

	(void)state;
	srig_start();
	announce(&m);
	local = expect_spawn(2001);
	instruct = asked(&local, &m, "joe@local.example", &ref);
	for (unsigned i = 0; i < 300; i++) {
		(void)snprintf(text, sizeof text, "u%03u@b.example", i);
		put_items(&instruct, ref, &line, 1);
	}
	put_answer(&instruct, ref, (struct si_answer){ .n_items = 300 }, "");
	assert_int_equal(strlen(expect_forward("sender@far.example", 0, &ref)), 300 * 15);
	report_committed(ref);
	expect_done(&m);
	channel_close(&instruct);
	channel_close(&local);
}

static void
instruct_may_say_that_there_is_none_nobody_or_that_it_must_wait(void **state)
{
	struct srig_message m = srig_simple("joe@local.example");
	struct channel local, instruct;
	struct wire_message ask;
	uint64_t ref;

	(void)state;
	srig_start();
	announce(&m);
	local = expect_spawn(2001);
	instruct = asked(&local, &m, "joe@local.example", &ref);
	put_answer(&instruct, ref, (struct si_answer){ .result = SI_NO_FILE }, "");
	expect_path(&local, "Maildir", SD_MAKE_MAILDIR, &ref);
	deliver_answer(&local, ref, SD_DELIVERED, "");
	expect_done(&m);
	m = srig_simple("joe@local.example");
	announce(&m); /* the home had no file any more: local is asked again */
	deliver_answer(&local, expect_delivery(&local, &m, "joe@local.example"), SD_INSTRUCTED, "");
	ask = srig_receive(&instruct, SI_ASK);
	put_answer(&instruct, ask.ref, (struct si_answer){ .result = SI_LATER, .enhanced = { 4, 7, 0 } }, "sticky");
	expect_status(&m, 0, STORE_WAITING, "4.7.0 sticky");
	(void)expect_later(&m);
	m = srig_simple("joe@local.example");
	announce(&m);
	ask = srig_receive(&instruct, SI_ASK); /* at once: a moment ago there was one */
	put_answer(&instruct, ask.ref, (struct si_answer){ .result = SI_NOBODY }, "");
	expect_status(&m, 0, STORE_FAILED, "5.1.1 there is no mailbox");
	(void)expect_report("sender@far.example", PQ_COMPLETE | PQ_BOUNCE, &ref);
	report_committed(ref);
	expect_done(&m);
	channel_close(&instruct);
	channel_close(&local);
}

static void
nonsense_of_instruct_defers_and_ends_its_conversation(void **state)
{
	static const struct line good = { DOTQMAIL_FORWARD, "a@b.example" };
	static const struct line bad = { DOTQMAIL_N_KINDS, "a@b.example" };
	static struct wire_buffer room;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		struct srig_message m = srig_simple("joe@local.example");
		struct channel local, instruct;
		struct wire_message end;
		struct why why = WHY_NONE;
		uint64_t ref;

		srig_start();
		announce(&m);
		local = expect_spawn(2001);
		instruct = asked(&local, &m, "joe@local.example", &ref);
		put_items(&instruct, i == 4 ? ref + 1 : ref, i == 0 ? &bad : &good, 1);
		(void)!say_answer(&instruct, ref,
		    (struct si_answer){ .n_items = i == 1 ? 2 : 1, .result = i == 2 ? 9 : 0, .owner = i == 3 ? 9 : 0 },
		    "");
		expect_status(&m, 0, STORE_WAITING, "4.3.0 ");
		(void)expect_later(&m);
		assert_int_not_equal(channel_receive(&instruct, &room, &end, &why), OK);
		channel_close(&instruct);
		channel_close(&local);
		srig_tear_down(state);
		srig_set_up(state);
	}
	srig_start();
}

static void
a_program_process_that_dies_defers_what_it_had(void **state)
{
	static const struct line lines[] = { { DOTQMAIL_PROGRAM, "run it" } };
	struct srig_message m = srig_simple("joe@local.example");
	struct channel local, instruct, pipe;
	uint64_t ref;

	(void)state;
	srig_start();
	announce(&m);
	local = expect_spawn(2001);
	instruct = asked(&local, &m, "joe@local.example", &ref);
	put_list(&instruct, ref, lines, 1);
	pipe = spawned(&srig_pspawn, 0, &send_pipe_protocol);
	(void)expect_program(&pipe, "run it");
	channel_close(&pipe);
	expect_status(&m, 0, STORE_WAITING, "4.3.0 the delivery process ended early");
	(void)expect_later(&m);
	channel_close(&instruct);
	channel_close(&local);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    instructions_are_carried_out_in_order_and_recorded, srig_set_up, srig_tear_down),
		cmocka_unit_test_setup_teardown(
		    a_retry_begins_where_the_record_of_this_very_list_says, srig_set_up, srig_tear_down),
		cmocka_unit_test_setup_teardown(
		    a_stop_ends_the_list_and_what_was_to_be_forwarded_before_it_goes, srig_set_up, srig_tear_down),
		cmocka_unit_test_setup_teardown(
		    what_is_no_address_is_reported_and_the_others_get_the_mail, srig_set_up, srig_tear_down),
		cmocka_unit_test_setup_teardown(
		    an_owner_is_the_sender_of_what_is_forwarded, srig_set_up, srig_tear_down),
		cmocka_unit_test_setup_teardown(many_addresses_are_one_message, srig_set_up, srig_tear_down),
		cmocka_unit_test_setup_teardown(
		    instruct_may_say_that_there_is_none_nobody_or_that_it_must_wait, srig_set_up, srig_tear_down),
		cmocka_unit_test_setup_teardown(
		    nonsense_of_instruct_defers_and_ends_its_conversation, srig_set_up, srig_tear_down),
		cmocka_unit_test_setup_teardown(
		    a_program_process_that_dies_defers_what_it_had, srig_set_up, srig_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
