/* Fuzz target: a session of pop3d before the login, against a policy that offers everything and answers as the input says.
 * A finding is a crash, a hang, a reply that is none, or a hand-over that policy has not allowed.
 * Input: first octet how policy answers; the rest is what the peer says. */
#include "pop3d/session.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EXCHANGES 6

static void
policy_says(struct channel *c, uint8_t how)
{
	struct sp_welcome w = { .idle_seconds = 1,
		.session_seconds = 60,
		.max_errors = 10,
		.flags = how & 1 ? SP_STARTTLS : 0,
		.code = 220,
		.mechanisms = (1u << SP_N_MECHANISMS) - 1 };
	uint8_t room[100];
	struct buf tail = BUF_OVER(room);
	struct why why = WHY_NONE;

	wire_put_string(&tail, "host");
	wire_put_string(&tail, how & 2 ? "hello <1@host>" : "hello");
	if (channel_send(c, SP_WELCOME, 0, &w, buf_bytes(&tail), NULL, &why) != OK)
		abort();
	for (int i = 0; i < EXCHANGES; i++) {
		struct sp_answer a = { .code = how & 4 && i == EXCHANGES - 1 ? 235 : 535 };
		enum result r = how & 8 && i % 2 == 0
		    ? channel_send(c, SP_CHALLENGE, 0, NULL, BYTES("PDE+"), NULL, &why)
		    : channel_send(c, SP_ANSWER, 0, &a, BYTES("so"), NULL, &why);

		if (r != OK)
			abort();
	}
}

static void
look_at_replies(int fd)
{
	static char replies[65536];
	ssize_t n = recv(fd, replies, sizeof replies, MSG_DONTWAIT);

	for (ssize_t at = 0; at < n;) {
		char *end = memchr(replies + at, '\n', (size_t)(n - at));

		if (end == NULL || end == replies + at || end[-1] != '\r')
			abort();
		if (at == 0 && memcmp(replies, "+OK hello", 9) != 0)
			abort();
		at = end + 1 - replies;
	}
}

/* whether the session was handed over; what else it has asked */
static bool
was_handed_over(struct channel *c)
{
	static struct wire_buffer buffer;
	struct wire_message m;
	struct why why = WHY_NONE;
	bool handed = false;

	while (channel_receive(c, &buffer, &m, &why) == OK) {
		if (handed)
			abort();
		handed = m.type == SP_BOX;
		wire_close_fds(&m);
	}
	return handed;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct session s;
	struct channel policy;
	int peer[2], pair[2];

	if (size == 0 || size > 20000)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, peer) != 0 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0)
		abort();
	policy = channel_of(pair[1], &smtpd_policy_protocol, SP_POLICY, false);
	policy_says(&policy, data[0]);
	if (size > 1 && send(peer[1], data + 1, size - 1, MSG_DONTWAIT) < 0)
		abort();
	(void)shutdown(peer[1], SHUT_WR);
	(void)shutdown(pair[1], SHUT_WR); /* no answer but those that are there */
	memset(&s, 0, sizeof s);
	session_run(&s, peer[0], pair[0], "conn");
	look_at_replies(peer[1]);
	if (was_handed_over(&policy) && !(data[0] & 4))
		abort();
	(void)close(peer[1]);
	channel_close(&policy);
	return 0;
}
