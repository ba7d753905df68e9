/* Channels in an event loop.
 * Trusts no sender: what does not decode or comes out of turn ends the conversation, with its reason.
 * Never waits, never lines up more than its bound, never touches a port after it was closed. */
#include "wire/port.h"

#include "base/secret.h"
#include "sys/clock.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct port_packet {
	struct port_packet *next;
	int fds[WIRE_FDS_MAX];
	unsigned n_fds;
	uint16_t type;
	uint64_t ref;
	uint16_t body_len, tail_len;
	uint8_t octets[];
};

static void
packet_free(struct port_packet *q)
{
	secret_wipe(q->octets, (size_t)q->body_len + q->tail_len);
	for (unsigned i = 0; i < q->n_fds; i++)
		(void)close(q->fds[i]);
	free(q);
}

static struct port_packet *
packet_new(const struct wire_row *row, uint16_t type, uint64_t ref, const void *body, struct bytes tail, const int *fds)
{
	struct port_packet *q = calloc(1, sizeof *q + row->body_len + tail.len);

	if (q == NULL)
		return NULL;
	q->type = type;
	q->ref = ref;
	q->body_len = row->body_len;
	q->tail_len = (uint16_t)tail.len;
	if (row->body_len > 0)
		memcpy(q->octets, body, row->body_len);
	if (tail.len > 0)
		memcpy(q->octets + row->body_len, tail.at, tail.len);
	for (unsigned i = 0; i < row->n_fds; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);

		if (fd < 0) {
			packet_free(q);
			return NULL;
		}
		q->fds[q->n_fds++] = fd;
	}
	return q;
}

static uint32_t
wanted_events(const struct port *p)
{
	return p->first == NULL || p->retry.slot != 0 ? EPOLLIN : EPOLLIN | EPOLLOUT;
}

/* The socket is ready all the time, but takes no descriptors. */
static void
try_later(struct port *p)
{
	if (p->channel.crowded)
		(void)loop_at(p->loop, &p->retry, clock_ms() + crowd_delay(&p->crowd)); /* else at once: no memory */
}

static enum result
drain(struct port *p, struct why *why)
{
	while (p->first != NULL) {
		struct port_packet *q = p->first;
		struct bytes tail = { q->octets + q->body_len, q->tail_len };
		enum result r = channel_send(&p->channel, q->type, q->ref, q->octets, tail, q->fds, why);

		if (r == AGAIN) {
			try_later(p);
			break;
		}
		if (r != OK)
			return r;
		p->crowd = (struct crowd){ 0 };
		p->first = q->next;
		if (p->first == NULL)
			p->last = NULL;
		p->n_waiting--;
		packet_free(q);
	}
	return loop_watch(p->loop, &p->source, wanted_events(p), why);
}

static void
end(struct port *p, enum result r, struct why *why)
{
	port_close(p);
	p->events->ended(p, r, why);
}

static void
retry(struct loop *loop, struct timer *t)
{
	struct port *p = container_of(t, struct port, retry);
	struct why why = WHY_NONE;
	enum result r = drain(p, &why);

	(void)loop;
	if (r != OK && r != ABSENT) /* if it is gone the loop says so */
		end(p, r, &why);
}

#define MESSAGES_A_TURN 32 /* so that one talker does not starve the others */

static void
ready(struct loop *loop, struct source *s, uint32_t events)
{
	struct port *p = container_of(s, struct port, source);
	struct why why = WHY_NONE;
	WIRE_UNCLEARED struct wire_buffer buffer;
	struct wire_message m;
	bool gone = false, secret = p->secret, deaf;
	enum result r = OK;

	(void)loop;
	if ((events & EPOLLOUT) && (r = drain(p, &why)) != OK && r != ABSENT) {
		end(p, r, &why);
		return;
	}
	deaf = r == ABSENT; /* but it may have said something before */
	r = OK;
	p->gone = &gone;
	for (int i = 0; i < (p->in_turns ? 1 : MESSAGES_A_TURN) && r == OK; i++) {
		r = channel_receive(&p->channel, &buffer, &m, &why);
		if (r != OK)
			break;
		r = p->events->message(p, &m, &why);
		wire_close_fds(&m);
		if (secret)
			secret_wipe(buffer.octets, sizeof buffer.octets);
		if (gone)
			return;
	}
	p->gone = NULL;
	if (r == AGAIN && deaf)
		r = why_set(&why, ABSENT, "%s reads no more", p->channel.protocol->name);
	if (r != OK && r != AGAIN)
		end(p, r, &why);
}

enum result
port_open(struct port *p, struct loop *loop, struct channel c, const struct port_events *events, size_t max_waiting,
    struct why *why)
{
	*p = (struct port){ .source = { .fd = c.fd, .ready = ready },
		.channel = c,
		.loop = loop,
		.events = events,
		.retry.due = retry,
		.max_waiting = max_waiting };
	p->channel.waits = false;
	return loop_watch(loop, &p->source, EPOLLIN, why);
}

void
port_close(struct port *p)
{
	if (!port_is_open(p))
		return;
	loop_forget(p->loop, &p->source);
	loop_cancel(p->loop, &p->retry);
	channel_close(&p->channel);
	while (p->first != NULL) {
		struct port_packet *q = p->first;

		p->first = q->next;
		packet_free(q);
	}
	p->last = NULL;
	p->n_waiting = 0;
	if (p->gone != NULL)
		*p->gone = true;
	p->gone = NULL;
}

bool
port_is_open(const struct port *p)
{
	return p->loop != NULL && p->channel.fd >= 0;
}

bool
port_peer_is_gone(const struct port *p)
{
	struct pollfd f = { .fd = p->channel.fd };

	return !port_is_open(p) || (poll(&f, 1, 0) == 1 && (f.revents & (POLLHUP | POLLERR)) != 0);
}

enum result
port_send(
    struct port *p, uint16_t type, uint64_t ref, const void *body, struct bytes tail, const int *fds, struct why *why)
{
	struct port_packet *q;
	enum result r;

	if (!port_is_open(p))
		return why_set(why, ABSENT, "the conversation is over");
	if (p->first == NULL) {
		r = channel_send(&p->channel, type, ref, body, tail, fds, why);
		if (r != AGAIN)
			return r;
	} else if ((r = channel_may_send(&p->channel, type, tail, why)) != OK)
		return r;
	if (p->n_waiting >= p->max_waiting)
		return why_set(why, EXHAUSTED, "%s: %zu messages wait and nobody takes them", p->channel.protocol->name,
		    p->n_waiting);
	q = packet_new(&p->channel.protocol->rows[type], type, ref, body, tail, fds);
	if (q == NULL)
		return why_set(why, EXHAUSTED, "no memory for a waiting message");
	if (p->last == NULL)
		p->first = q;
	else
		p->last->next = q;
	p->last = q;
	p->n_waiting++;
	if (p->first == q)
		try_later(p);
	return loop_watch(p->loop, &p->source, wanted_events(p), why);
}
