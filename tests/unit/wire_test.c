/* Tests of messages, channels and ports: what does not fit its list is refused, and nothing of it is kept.
 * Uses smtpd_policy and policy_queue as examples; the decoder knows no protocol by itself.
 * Talks over socket pairs only. */
#include "unit.h"

#include "sys/loop.h"
#include "wire/channel.h"
#include "wire/door.h"
#include "wire/listen_smtpd.h"
#include "wire/policy_queue.h"
#include "wire/port.h"
#include "wire/smtpd_policy.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct bytes
packet(uint8_t *into, uint16_t type, uint16_t said_len, size_t len)
{
	struct wire_head head = { .type = type, .len = said_len, .ref = 7 };

	memset(into, 0, WIRE_MAX);
	memcpy(into, &head, sizeof head);
	return bytes_of(into, len);
}

static void
a_message_of_exact_size_decodes(void **state)
{
	static uint8_t octets[WIRE_MAX];
	struct wire_message m;
	struct why why = WHY_NONE;
	struct bytes p = packet(
	    octets, SP_COMMIT, sizeof(struct sp_commit), sizeof(struct wire_head) + sizeof(struct sp_commit));

	(void)state;
	assert_int_equal(wire_decode(&smtpd_policy_protocol, SP_SMTPD, p, 0, &m, &why), OK);
	assert_int_equal(m.type, SP_COMMIT);
	assert_int_equal(m.ref, 7);
	assert_int_equal(m.tail.len, 0);
}

static void
a_message_cut_at_any_octet_is_refused(void **state)
{
	static uint8_t octets[WIRE_MAX];
	size_t whole = sizeof(struct wire_head) + sizeof(struct sp_commit);
	struct wire_message m;

	(void)state;
	for (size_t n = 0; n < whole; n++) {
		struct why why = WHY_NONE;
		struct bytes p = packet(octets, SP_COMMIT, (uint16_t)(whole - sizeof(struct wire_head)), n);

		assert_int_equal(wire_decode(&smtpd_policy_protocol, SP_SMTPD, p, 0, &m, &why), MALFORMED);
		assert_true(why.text[0] != '\0');
	}
}

static void
a_tail_longer_than_the_list_says_is_refused(void **state)
{
	static uint8_t octets[WIRE_MAX];
	uint16_t body = sizeof(struct sp_answer);
	struct wire_message m;
	struct why why = WHY_NONE;
	struct bytes fits = packet(
	    octets, SP_ANSWER, (uint16_t)(body + SP_TEXT_MAX), sizeof(struct wire_head) + body + SP_TEXT_MAX);

	(void)state;
	assert_int_equal(wire_decode(&smtpd_policy_protocol, SP_POLICY, fits, 0, &m, &why), OK);
	fits = packet(
	    octets, SP_ANSWER, (uint16_t)(body + SP_TEXT_MAX + 1), sizeof(struct wire_head) + body + SP_TEXT_MAX + 1);
	assert_int_equal(wire_decode(&smtpd_policy_protocol, SP_POLICY, fits, 0, &m, &why), MALFORMED);
}

static void
a_length_that_lies_is_refused(void **state)
{
	static uint8_t octets[WIRE_MAX];
	struct wire_message m;
	struct why why = WHY_NONE;

	(void)state;
	assert_int_equal(
	    wire_decode(&smtpd_policy_protocol, SP_SMTPD, packet(octets, SP_COMMIT, 0xffff, 16), 0, &m, &why),
	    MALFORMED);
	assert_int_equal(
	    wire_decode(&smtpd_policy_protocol, SP_SMTPD, packet(octets, SP_COMMIT, 8, 17), 0, &m, &why), MALFORMED);
	assert_int_equal(
	    wire_decode(&smtpd_policy_protocol, SP_SMTPD, packet(octets, SP_COMMIT, 7, 16), 0, &m, &why), MALFORMED);
}

static void
nobody_sends_what_is_the_other_sides_to_send(void **state)
{
	static uint8_t octets[WIRE_MAX];
	struct wire_message m;
	struct why why = WHY_NONE;
	struct bytes p = packet(octets, SP_COMMIT, 8, 16);

	(void)state;
	assert_int_equal(wire_decode(&smtpd_policy_protocol, SP_POLICY, p, 0, &m, &why), MALFORMED);
	p = packet(octets, smtpd_policy_protocol.n_rows, 8, 16);
	assert_int_equal(wire_decode(&smtpd_policy_protocol, SP_SMTPD, p, 0, &m, &why), MALFORMED);
}

static int
open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void
descriptors_that_the_list_does_not_name_are_closed(void **state)
{
	static const struct wire_row loose_rows[] = { { "LOOSE", 0, 0, 4, WIRE_FIRST, ANY } };
	static const struct wire_protocol loose = { "loose", { "a", "b" }, loose_rows, 1 };
	struct why why = WHY_NONE;
	struct channel a, b;
	static struct wire_buffer buffer;
	struct wire_message m;
	int pair[2], before, fds[4];

	(void)state;
	assert_int_equal(channel_pair(pair, &why), OK);
	a = channel_of(pair[0], &loose, WIRE_FIRST, false);
	b = channel_of(pair[1], &listen_smtpd_protocol, LS_SMTPD, false);
	for (size_t i = 0; i < nitems(fds); i++)
		fds[i] = pair[0];
	before = open_fds();
	assert_int_equal(channel_send(&a, 0, 0, NULL, BYTES_NONE, fds, &why), OK);
	assert_int_equal(channel_receive(&b, &buffer, &m, &why), MALFORMED);
	assert_int_equal(open_fds(), before);
	channel_close(&a);
	channel_close(&b);
}

/* An end of file to its receiver; but each such message left its descriptors there. */
static void
descriptors_of_an_empty_message_are_closed(void **state)
{
	struct why why = WHY_NONE;
	struct channel b;
	static struct wire_buffer buffer;
	struct wire_message m;
	union {
		struct cmsghdr head;
		uint8_t octets[CMSG_SPACE(sizeof(int))];
	} control = { .head = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct msghdr mh = { .msg_control = &control, .msg_controllen = sizeof control };
	int pair[2], before;

	(void)state;
	for (int type = SOCK_DGRAM; type <= SOCK_SEQPACKET; type += SOCK_SEQPACKET - SOCK_DGRAM) {
		assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair), 0);
		b = channel_of(pair[1], &listen_smtpd_protocol, LS_SMTPD, false);
		memcpy(CMSG_DATA(&control.head), &pair[0], sizeof(int));
		before = open_fds();
		assert_int_equal(sendmsg(pair[0], &mh, 0), 0);
		assert_int_equal(channel_receive(&b, &buffer, &m, &why), ABSENT);
		assert_int_equal(open_fds(), before);
		(void)close(pair[0]);
		channel_close(&b);
	}
}

static void
a_message_that_comes_once_comes_once(void **state)
{
	struct why why = WHY_NONE;
	struct sp_welcome welcome = { .code = 220 };
	struct channel a, b;
	static struct wire_buffer buffer;
	struct wire_message m;
	int pair[2];

	(void)state;
	assert_int_equal(channel_pair(pair, &why), OK);
	a = channel_of(pair[0], &smtpd_policy_protocol, SP_SMTPD, false);
	b = channel_of(pair[1], &smtpd_policy_protocol, SP_POLICY, false);
	assert_int_equal(channel_receive(&a, &buffer, &m, &why), AGAIN);
	assert_int_equal(channel_send(&b, SP_WELCOME, 0, &welcome, BYTES_NONE, NULL, &why), OK);
	assert_int_equal(channel_send(&b, SP_WELCOME, 0, &welcome, BYTES_NONE, NULL, &why), OK);
	assert_int_equal(channel_receive(&a, &buffer, &m, &why), OK);
	assert_int_equal(channel_receive(&a, &buffer, &m, &why), MALFORMED);
	channel_close(&b);
	assert_int_equal(channel_receive(&a, &buffer, &m, &why), ABSENT);
	channel_close(&a);
}

static void
fields_of_a_tail_come_back_as_they_were_put(void **state)
{
	uint8_t room[64];
	struct buf b = BUF_OVER(room);
	struct bytes fields[3], tail;

	(void)state;
	wire_put_string(&b, "one");
	wire_put_string(&b, "");
	wire_put_string(&b, "three");
	assert_int_equal(buf_result(&b), OK);
	tail = buf_bytes(&b);
	assert_true(wire_take_all(tail, fields, 3));
	assert_true(bytes_equal(fields[2], BYTES("three")));
	assert_false(wire_take_all(tail, fields, 2));
	for (size_t n = 0; n < tail.len; n++)
		assert_false(wire_take_all(bytes_first(tail, n), fields, 3));
}

struct talk {
	struct port port;
	unsigned n, ended;
	enum result r;
	bool close_at_second;
};

static enum result
count(struct port *p, struct wire_message *m, struct why *why)
{
	struct talk *t = container_of(p, struct talk, port);

	(void)m;
	(void)why;
	if (++t->n == 2 && t->close_at_second)
		port_close(p);
	p->loop->stop = t->n == 300;
	return OK;
}

static void
over(struct port *p, enum result r, struct why *why)
{
	struct talk *t = container_of(p, struct talk, port);

	(void)why;
	t->ended++;
	t->r = r;
	p->loop->stop = true;
}

static const struct port_events events = { count, over };

static void
open_talk(struct talk *t, struct loop *loop, int fd, enum wire_side side, size_t line)
{
	struct why why = WHY_NONE;

	memset(t, 0, sizeof *t);
	assert_int_equal(
	    port_open(&t->port, loop, channel_of(fd, &smtpd_policy_protocol, side, false), &events, line, &why), OK);
}

static void
a_slow_reader_gets_everything_in_the_end(void **state)
{
	static uint8_t text[SP_TEXT_MAX];
	struct sp_answer answer = { .code = 250 };
	struct talk a, b;
	struct loop loop;
	struct why why = WHY_NONE;
	int pair[2];

	(void)state;
	assert_int_equal(loop_open(&loop, &why), OK);
	assert_int_equal(channel_pair(pair, &why), OK);
	open_talk(&a, &loop, pair[0], SP_POLICY, 300);
	open_talk(&b, &loop, pair[1], SP_SMTPD, 300);
	for (int i = 0; i < 300; i++)
		assert_int_equal(
		    port_send(&a.port, SP_ANSWER, 0, &answer, bytes_of(text, sizeof text), NULL, &why), OK);
	assert_true(a.port.n_waiting > 0);
	assert_int_equal(loop_run(&loop, &why), OK);
	assert_int_equal(b.n, 300);
	port_close(&a.port);
	port_close(&b.port);
	loop_close(&loop);
}

static void
a_line_that_is_full_is_an_answer_not_a_growth(void **state)
{
	struct sp_answer answer = { .code = 250 };
	struct talk a;
	struct loop loop;
	struct why why = WHY_NONE;
	enum result r = OK;
	int pair[2], n;

	(void)state;
	assert_int_equal(loop_open(&loop, &why), OK);
	assert_int_equal(channel_pair(pair, &why), OK);
	open_talk(&a, &loop, pair[0], SP_POLICY, 10);
	for (n = 0; n < 100000 && r == OK; n++)
		r = port_send(&a.port, SP_ANSWER, 0, &answer, BYTES_NONE, NULL, &why);
	assert_int_equal(r, EXHAUSTED);
	assert_int_equal(a.port.n_waiting, 10);
	port_close(&a.port);
	(void)close(pair[1]);
	loop_close(&loop);
}

/* It would have been cut to what 16 bits hold of its length, or have ended the conversation when its turn came. */
static void
what_may_not_be_sent_does_not_wait_either(void **state)
{
	static uint8_t text[65536 + 10];
	struct sp_answer answer = { .code = 250 };
	struct talk a;
	struct loop loop;
	struct why why = WHY_NONE;
	int pair[2];

	(void)state;
	assert_int_equal(loop_open(&loop, &why), OK);
	assert_int_equal(channel_pair(pair, &why), OK);
	open_talk(&a, &loop, pair[0], SP_POLICY, 10);
	while (a.port.n_waiting == 0)
		assert_int_equal(port_send(&a.port, SP_ANSWER, 0, &answer, BYTES_NONE, NULL, &why), OK);
	assert_int_equal(port_send(&a.port, SP_ANSWER, 0, &answer, bytes_of(text, sizeof text), NULL, &why), BROKEN);
	assert_int_equal(port_send(&a.port, SP_COMMIT, 0, &answer, BYTES_NONE, NULL, &why), BROKEN);
	assert_int_equal(port_send(&a.port, 999, 0, &answer, BYTES_NONE, NULL, &why), BROKEN);
	assert_int_equal(a.port.n_waiting, 1);
	port_close(&a.port);
	(void)close(pair[1]);
	loop_close(&loop);
}

/* The kernel tells of the sender's end first if it left something unread: what it had said must not be lost with that. */
static void
what_was_said_before_the_end_is_heard(void **state)
{
	struct sp_answer answer = { .code = 250 };
	struct sp_commit commit = { .octets = 1 };
	struct talk a;
	struct loop loop;
	struct why why = WHY_NONE;
	struct channel b;
	int pair[2];

	(void)state;
	for (unsigned line = 1; line <= 100000; line += 99999) {
		assert_int_equal(loop_open(&loop, &why), OK);
		assert_int_equal(channel_pair(pair, &why), OK);
		open_talk(&a, &loop, pair[0], SP_POLICY, 10);
		b = channel_of(pair[1], &smtpd_policy_protocol, SP_SMTPD, false);
		for (unsigned n = 0; n < line && a.port.n_waiting < 10;
		     n++) /* one message, or all that there is room for */
			assert_int_equal(port_send(&a.port, SP_ANSWER, 0, &answer, BYTES_NONE, NULL, &why), OK);
		assert_int_equal(channel_send(&b, SP_COMMIT, 0, &commit, BYTES_NONE, NULL, &why), OK);
		assert_int_equal(channel_send(&b, SP_COMMIT, 0, &commit, BYTES_NONE, NULL, &why), OK);
		channel_close(&b);
		assert_int_equal(loop_run(&loop, &why), OK);
		assert_int_equal(a.n, 2);
		assert_int_equal(a.ended, 1);
		assert_int_equal(a.r, ABSENT);
		loop_close(&loop);
	}
}

static void
a_port_may_be_closed_by_its_own_message(void **state)
{
	struct sp_answer answer = { .code = 250 };
	struct talk a;
	struct loop loop;
	struct why why = WHY_NONE;
	struct channel other;
	int pair[2];

	(void)state;
	assert_int_equal(loop_open(&loop, &why), OK);
	assert_int_equal(channel_pair(pair, &why), OK);
	open_talk(&a, &loop, pair[0], SP_SMTPD, 10);
	a.close_at_second = true;
	other = channel_of(pair[1], &smtpd_policy_protocol, SP_POLICY, false);
	for (int i = 0; i < 5; i++)
		assert_int_equal(channel_send(&other, SP_ANSWER, 0, &answer, BYTES_NONE, NULL, &why), OK);
	a.port.source.ready(&loop, &a.port.source, EPOLLIN);
	assert_int_equal(a.n, 2);
	assert_int_equal(a.ended, 0);
	assert_false(port_is_open(&a.port));
	channel_close(&other);
	loop_close(&loop);
}

static void
garbage_ends_the_conversation_and_only_it(void **state)
{
	struct talk a;
	struct loop loop;
	struct why why = WHY_NONE;
	int pair[2];

	(void)state;
	assert_int_equal(loop_open(&loop, &why), OK);
	assert_int_equal(channel_pair(pair, &why), OK);
	open_talk(&a, &loop, pair[0], SP_POLICY, 10);
	assert_int_equal(send(pair[1], "rubbish that is no message", 26, 0), 26);
	assert_int_equal(loop_run(&loop, &why), OK);
	assert_int_equal(a.ended, 1);
	assert_int_equal(a.r, MALFORMED);
	assert_int_equal(a.n, 0);
	(void)close(pair[1]);
	loop_close(&loop);
}

static void
only_a_channel_passes_a_door(void **state)
{
	struct why why = WHY_NONE;
	struct channel client, owner;
	struct channel raw;
	int pair[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(door_take(pair[1], &policy_queue_protocol, &owner, &why), AGAIN);
	assert_int_equal(door_open(pair[0], &policy_queue_protocol, true, &client, &why), OK);
	assert_int_equal(door_take(pair[1], &policy_queue_protocol, &owner, &why), OK);
	channel_close(&client);
	channel_close(&owner);
	raw = channel_of(pair[0], &door_protocol, DOOR_CLIENT, false);
	assert_int_equal(channel_send(&raw, DOOR_OPEN, 0, NULL, BYTES_NONE, &null, &why), OK);
	assert_int_equal(door_take(pair[1], &policy_queue_protocol, &owner, &why), MALFORMED);
	assert_int_equal(send(pair[0], "", 0, 0), 0);
	assert_int_equal(door_take(pair[1], &policy_queue_protocol, &owner, &why), MALFORMED);
	assert_int_equal(door_take(pair[1], &policy_queue_protocol, &owner, &why), AGAIN);
	(void)close(null);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_of_exact_size_decodes),
		cmocka_unit_test(a_message_cut_at_any_octet_is_refused),
		cmocka_unit_test(a_tail_longer_than_the_list_says_is_refused),
		cmocka_unit_test(a_length_that_lies_is_refused),
		cmocka_unit_test(nobody_sends_what_is_the_other_sides_to_send),
		cmocka_unit_test(descriptors_that_the_list_does_not_name_are_closed),
		cmocka_unit_test(descriptors_of_an_empty_message_are_closed),
		cmocka_unit_test(a_message_that_comes_once_comes_once),
		cmocka_unit_test(fields_of_a_tail_come_back_as_they_were_put),
		cmocka_unit_test(a_slow_reader_gets_everything_in_the_end),
		cmocka_unit_test(a_line_that_is_full_is_an_answer_not_a_growth),
		cmocka_unit_test(what_may_not_be_sent_does_not_wait_either),
		cmocka_unit_test(what_was_said_before_the_end_is_heard),
		cmocka_unit_test(a_port_may_be_closed_by_its_own_message),
		cmocka_unit_test(garbage_ends_the_conversation_and_only_it),
		cmocka_unit_test(only_a_channel_passes_a_door),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
