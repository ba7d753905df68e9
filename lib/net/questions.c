/* Questions to `resolve`.
 * Trusts resolve for whether an answer is secure; the names and addresses in it for nothing.
 * Never waits without end, never takes an answer for another question. */
#include "net/questions.h"

#include "sys/clock.h"
#include "sys/fd.h"
#include "sys/log.h"
#include "wire/door.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define WAIT_MS 60000
#define SETTLE_MS 1000 /* while many come to the door */

static bool
is_open(struct questions *q)
{
	struct why why = WHY_NONE;
	enum result r;

	if (q->line.fd >= 0)
		return true;
	if (q->door_fd < 0)
		return false;
	r = door_open(q->door_fd, &client_resolve_protocol, false, &q->line, &why);
	if (r == OK)
		return true;
	q->line.fd = -1;
	log_why("resolve", r, &why);
	return false;
}

/* All of them, with refs from `first` on. */
static bool
say_all(struct questions *q, const char *name, const enum rs_type types[], size_t n, uint32_t first)
{
	struct why why = WHY_NONE;
	uint8_t room[300];
	struct buf tail = BUF_OVER(room);

	wire_put_string(&tail, name);
	for (size_t i = 0; i < n; i++) {
		struct rs_ask ask = { .type = (uint16_t)types[i] };

		if (channel_send(&q->line, RS_ASK, first + (uint32_t)i, &ask, buf_bytes(&tail), NULL, &why) != OK) {
			channel_close(&q->line);
			return false;
		}
	}
	return true;
}

static void
take(struct answer *a, const struct wire_message *m)
{
	struct bytes tail;

	memcpy(&a->head, m->body, sizeof a->head);
	memcpy(a->room, m->tail.at, m->tail.len);
	tail = bytes_of(a->room, m->tail.len);
	if (!wire_take(&tail, &a->canonical))
		a->head.outcome = RS_FAILED;
	a->records = tail;
}

/* The next answer; false if there will be none. */
static bool
receive(struct questions *q, uint64_t until, struct wire_buffer *buffer, struct wire_message *m)
{
	struct why why = WHY_NONE;
	uint64_t now = clock_ms();
	struct pollfd p = { q->line.fd, POLLIN, 0 };
	enum result r;

	while (now < until) {
		if (poll(&p, 1, (int)(until - now)) > 0) {
			if ((r = channel_receive(&q->line, buffer, m, &why)) == OK)
				return true;
			if (r != AGAIN) {
				log_why("resolve", r, &why);
				break;
			}
		}
		now = clock_ms();
	}
	channel_close(&q->line); /* late answers go with it */
	return false;
}

void
questions_ask(struct questions *q, const char *name, const enum rs_type types[], struct answer *answers[], size_t n)
{
	static struct wire_buffer buffer;
	uint64_t until = clock_ms() + WAIT_MS;
	uint32_t first = q->last_ref + 1;
	struct wire_message m;
	size_t open = n;

	q->last_ref += (uint32_t)n;
	for (size_t i = 0; i < n; i++) {
		answers[i]->head = (struct rs_answer){ .outcome = RS_FAILED };
		answers[i]->canonical = answers[i]->records = BYTES_NONE;
	}
	if (!is_open(q) || (!say_all(q, name, types, n, first) && (!is_open(q) || !say_all(q, name, types, n, first))))
		return; /* the second time: resolve was replaced since the last question */
	while (open > 0 && receive(q, until, &buffer, &m)) {
		if (m.ref >= first && m.ref - first < n) {
			take(answers[m.ref - first], &m);
			open--;
		}
		wire_close_fds(&m);
	}
}

static bool
is_door(int fd)
{
	int type = 0;
	socklen_t len = sizeof type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_DGRAM;
}

void
questions_settle(struct questions *q)
{
	struct pollfd p = { q->door_fd, POLLOUT, 0 };

	if (is_door(q->door_fd) && poll(&p, 1, SETTLE_MS) > 0)
		(void)is_open(q);
	fd_close(&q->door_fd);
}

void
questions_end(struct questions *q)
{
	channel_close(&q->line);
}
