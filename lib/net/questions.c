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
	calls_broken(&q->asked);
	if (q->door_fd < 0)
		return false;
	r = door_open(q->door_fd, &client_resolve_protocol, false, &q->line, &why);
	if (r == OK)
		return true;
	q->line.fd = -1;
	log_why("resolve", r, &why);
	return false;
}

/* One after the other fills the answers of a set of questions. */
struct set {
	struct caller who;
	struct answer **answers;
};

static void
take(struct calls *c, struct caller *who, unsigned i, enum call_end how, struct wire_message *m)
{
	struct answer *a = container_of(who, struct set, who)->answers[i];
	struct bytes tail;

	(void)c;
	if (how != CALL_ANSWERED)
		return; /* it has failed, as it was put */
	memcpy(&a->head, m->body, sizeof a->head);
	memcpy(a->room, m->tail.at, m->tail.len);
	tail = bytes_of(a->room, m->tail.len);
	if (!wire_take(&tail, &a->canonical))
		a->head.outcome = RS_FAILED;
	a->records = tail;
}

static bool
say_all(struct questions *q, struct set *set, const char *name, const enum rs_type types[], size_t n)
{
	struct why why = WHY_NONE;
	uint8_t room[300];
	struct buf tail = BUF_OVER(room);

	wire_put_string(&tail, name);
	for (size_t i = 0; i < n; i++) {
		struct rs_ask ask = { .type = (uint16_t)types[i] };
		uint64_t ref = calls_ask(&q->asked, &set->who, (unsigned)i, take, 0);

		if (ref == 0 || channel_send(&q->line, RS_ASK, ref, &ask, buf_bytes(&tail), NULL, &why) != OK) {
			channel_close(&q->line);
			calls_broken(&q->asked);
			return false;
		}
	}
	return true;
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
	struct set set = { .answers = answers };
	struct wire_message m;

	for (size_t i = 0; i < n; i++) {
		answers[i]->head = (struct rs_answer){ .outcome = RS_FAILED };
		answers[i]->canonical = answers[i]->records = BYTES_NONE;
	}
	if (!is_open(q) || (!say_all(q, &set, name, types, n) && (!is_open(q) || !say_all(q, &set, name, types, n))))
		return; /* the second time: resolve was replaced since the last question */
	while (calls_wait(&set.who) && receive(q, until, &buffer, &m)) {
		(void)calls_answered(&q->asked, m.ref, &m);
		wire_close_fds(&m);
	}
	calls_forget(&set.who);
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
	calls_close(&q->asked);
}
