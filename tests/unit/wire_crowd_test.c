/* Tests of sending when too many descriptors of the sender's user are under way: it waits, and nothing is lost.
 * Each runs in a process of a user without rights, whose limit is small: root is not counted.
 * Waits for what it waits for, in bounds; leaves no process behind. */
#include "unit.h"

#include "sys/clock.h"
#include "wire/crowd.h"
#include "wire/door.h"
#include "wire/port.h"
#include "wire/smtpd_policy.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define A_USER 64123
#define LIMIT 40
#define A_MESSAGE 253 /* descriptors that the kernel takes in one */

#define NEED(condition) \
	do { \
		if (!(condition)) \
			_exit(__LINE__ & 0xff ? __LINE__ & 0xff : 1); \
	} while (false)

/* Runs it as that user; the exit status is the line of what did not hold. */
static void
as_somebody(void (*test)(void))
{
	static const struct rlimit small = { LIMIT, LIMIT };
	int status;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		(void)dup2(null, 2);
		(void)close_range(3, ~0u, 0);
		NEED(setrlimit(RLIMIT_NOFILE, &small) == 0);
		NEED(setgid(A_USER) == 0 && setuid(A_USER) == 0);
		test();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* A message full of descriptors that nobody reads; where it lies. */
static void
crowd(int pair[2])
{
	static union {
		struct cmsghdr head;
		uint8_t octets[CMSG_SPACE(sizeof(int) * A_MESSAGE)];
	} control;
	char octet = 0;
	struct iovec iov = { &octet, 1 };
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
	};
	int fds[A_MESSAGE] = { 0 };

	NEED(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof fds);
	for (size_t i = 0; i < A_MESSAGE; i++)
		fds[i] = 2;
	memcpy(CMSG_DATA(&control.head), fds, sizeof fds);
	NEED(sendmsg(pair[0], &mh, 0) == 1);
}

static struct channel
policy_end(int fd, bool waits)
{
	return channel_of(fd, &smtpd_policy_protocol, SP_POLICY, waits);
}

static void
receive_plain(int fd)
{
	static struct wire_buffer buffer;
	struct channel c = channel_of(fd, &smtpd_policy_protocol, SP_SMTPD, true);
	struct wire_message m;
	struct why why = WHY_NONE;

	NEED(channel_receive(&c, &buffer, &m, &why) == OK && m.type == SP_TLS_PLAIN && m.n_fds == 1);
	wire_close_fds(&m);
}

/* Makes room a little later, as a receiver that catches up does. */
static void
make_room_later(int hold[2])
{
	NEED(close(hold[0]) == 0);
	if (fork() == 0) {
		(void)poll(NULL, 0, 60);
		_exit(0);
	}
	NEED(close(hold[1]) == 0); /* the child has it alone */
}

static void
wait_in_channel(void)
{
	struct why why = WHY_NONE;
	int hold[2], pair[2];
	struct channel c;

	NEED(channel_pair(pair, &why) == OK);
	crowd(hold);
	c = policy_end(pair[0], false);
	NEED(channel_send(&c, SP_TLS_PLAIN, 0, NULL, BYTES_NONE, (int[]){ 2 }, &why) == AGAIN && c.crowded);
	make_room_later(hold);
	c = policy_end(pair[0], true);
	NEED(channel_send(&c, SP_TLS_PLAIN, 0, NULL, BYTES_NONE, (int[]){ 2 }, &why) == OK && !c.crowded);
	receive_plain(pair[1]);
}

static void
a_session_waits_until_descriptors_under_way_have_arrived(void **state)
{
	(void)state;
	as_somebody(wait_in_channel);
}

static void
wait_in_door(void)
{
	struct why why = WHY_NONE;
	int hold[2], door[2];
	struct channel c, other;

	NEED(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, door) == 0);
	crowd(hold);
	NEED(door_open(door[0], &smtpd_policy_protocol, false, &c, &why) == AGAIN);
	make_room_later(hold);
	NEED(door_open(door[0], &smtpd_policy_protocol, true, &c, &why) == OK);
	NEED(door_take(door[1], &smtpd_policy_protocol, &other, &why) == OK);
}

static void
a_conversation_begins_when_descriptors_under_way_have_arrived(void **state)
{
	(void)state;
	as_somebody(wait_in_door);
}

static enum result
never_asked(struct port *p, struct wire_message *m, struct why *why)
{
	(void)p;
	(void)m;
	(void)why;
	NEED(false);
	return OK;
}

static void
never_ended(struct port *p, enum result r, struct why *why)
{
	(void)p;
	(void)r;
	(void)why;
	NEED(false);
}

static int held = -1;

static void
give_way(struct loop *loop, struct timer *t)
{
	(void)loop;
	(void)t;
	(void)close(held);
}

static void
stop(struct loop *loop, struct timer *t)
{
	(void)t;
	loop->stop = true;
}

static unsigned turns;

static void
count_turns(struct loop *loop)
{
	(void)loop;
	turns++;
}

static void
wait_in_port(void)
{
	static const struct port_events events = { never_asked, never_ended };
	struct timer room = { .due = give_way }, end = { .due = stop };
	struct why why = WHY_NONE;
	struct port p = { .gone = NULL };
	struct sp_answer answer = { .code = 250 };
	static struct loop loop;
	int hold[2], pair[2];

	NEED(loop_open(&loop, &why) == OK && channel_pair(pair, &why) == OK);
	loop.idle = count_turns;
	NEED(port_open(&p, &loop, policy_end(pair[0], false), &events, 4, &why) == OK);
	crowd(hold);
	NEED(close(hold[0]) == 0);
	held = hold[1];
	NEED(port_send(&p, SP_TLS_PLAIN, 0, NULL, BYTES_NONE, (int[]){ 2 }, &why) == OK);
	NEED(port_send(&p, SP_ANSWER, 0, &answer, BYTES_NONE, NULL, &why) == OK); /* after it, not before */
	NEED(p.n_waiting == 2);
	NEED(loop_at(&loop, &room, clock_ms() + 60) == OK && loop_at(&loop, &end, clock_ms() + 600) == OK);
	NEED(loop_run(&loop, &why) == OK);
	NEED(p.n_waiting == 0 && p.retry.slot == 0);
	NEED(turns < 40); /* it does not spin: the socket is ready all the time */
	receive_plain(pair[1]);
	port_close(&p);
	loop_close(&loop);
}

static void
a_line_of_messages_waits_in_its_order_and_without_spinning(void **state)
{
	(void)state;
	as_somebody(wait_in_port);
}

static void
close_in_port(void)
{
	static const struct port_events events = { never_asked, never_ended };
	struct timer end = { .due = stop };
	struct why why = WHY_NONE;
	struct port p = { .gone = NULL };
	static struct loop loop;
	int hold[2], pair[2];

	NEED(loop_open(&loop, &why) == OK && channel_pair(pair, &why) == OK);
	NEED(port_open(&p, &loop, policy_end(pair[0], false), &events, 1, &why) == OK);
	crowd(hold);
	NEED(port_send(&p, SP_TLS_PLAIN, 0, NULL, BYTES_NONE, (int[]){ 2 }, &why) == OK);
	NEED(port_send(&p, SP_TLS_PLAIN, 0, NULL, BYTES_NONE, (int[]){ 2 }, &why) == EXHAUSTED); /* the bound holds */
	port_close(&p);
	memset(&p, 0x5a, sizeof p);
	NEED(loop_at(&loop, &end, clock_ms() + 20) == OK && loop_run(&loop, &why) == OK);
}

static void
a_conversation_that_ends_while_it_waits_is_forgotten(void **state)
{
	(void)state;
	as_somebody(close_in_port);
}

static void
delays_grow_and_end(void **state)
{
	struct crowd c = { 0 };
	uint32_t before = 0, delay;

	(void)state;
	for (int i = 0; i < 20; i++) {
		delay = crowd_delay(&c);
		assert_in_range(delay, before, 250);
		before = delay;
	}
	assert_int_equal(before, 250);
	c.waited_ms = CROWD_PATIENCE_MS;
	assert_false(crowd_wait(&c));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_waits_until_descriptors_under_way_have_arrived),
		cmocka_unit_test(a_conversation_begins_when_descriptors_under_way_have_arrived),
		cmocka_unit_test(a_line_of_messages_waits_in_its_order_and_without_spinning),
		cmocka_unit_test(a_conversation_that_ends_while_it_waits_is_forgotten),
		cmocka_unit_test(delays_grow_and_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
