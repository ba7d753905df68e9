/* A session: send's orders, one connection, messages over it until send has no more or the connection ends.
 * Trusts send for where mail goes and what must be demanded of the peer; the peer for nothing.
 * Never outlives its channel, never opens a second connection after one has served. */
#include "remote/privileges.h"
#include "remote/remote.h"

#include "sys/log.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MS 60000 /* for send to say a password, and beyond the time for a handshake */

uint64_t
session_limit(const struct session *s, uint64_t ms)
{
	return ms < s->order.peer.idle_ms ? ms : s->order.peer.idle_ms;
}

__attribute__((noreturn)) static void
end(struct session *s, bool politely)
{
	line_close(s, politely);
	_exit(0);
}

/* ---- what send says ---- */

static enum result
take_message(struct session *s, struct wire_message *m, struct why *why)
{
	enum result r;

	if (m->type == RM_MESSAGE) {
		if (s->n_given == RM_IN_FLIGHT)
			return why_set(why, MALFORMED, "send gave more messages than it may");
		r = transaction_begin(&s->given[(s->first + s->n_given) % RM_IN_FLIGHT], m, why);
		s->n_given++;
		return r;
	}
	if (m->type == RM_RECIPIENTS && s->n_given > 0)
		return transaction_add(&s->given[(s->first + s->n_given - 1) % RM_IN_FLIGHT], m, why);
	return why_set(why, MALFORMED, "send said what it was not asked");
}

/* Takes what there is, or waits so long for it (-1: without end). OK: something came; AGAIN: nothing did. */
static enum result
listen_to_send(struct session *s, int ms, struct wire_message *m, struct why *why)
{
	struct pollfd p = { s->send.fd, POLLIN, 0 };

	if (poll(&p, 1, ms) <= 0)
		return AGAIN;
	return channel_receive(&s->send, &s->buffer, m, why);
}

/* Everything that send has said by now. */
static enum result
drain(struct session *s, struct why *why)
{
	struct wire_message m;
	enum result r;

	while (
	    s->n_given < RM_IN_FLIGHT || !transaction_is_whole(&s->given[(s->first + s->n_given - 1) % RM_IN_FLIGHT])) {
		if ((r = listen_to_send(s, 0, &m, why)) != OK)
			return r == AGAIN || r == ABSENT ? OK : r;
		r = take_message(s, &m, why);
		wire_close_fds(&m);
		if (r != OK)
			return r;
	}
	return OK;
}

enum result
session_ask(struct session *s, uint16_t type, const void *body, struct bytes tail, const int *fds,
    struct wire_message *m, struct why *why)
{
	int ms = (int)session_limit(s, MINUTES(5)) + ANSWER_MS;
	enum result r = channel_send(&s->send, type, 0, body, tail, fds, why);

	while (r == OK) {
		if ((r = listen_to_send(s, ms, m, why)) != OK)
			return r == AGAIN ? why_set(why, AGAIN, "send did not answer") : r;
		if (m->type != RM_MESSAGE && m->type != RM_RECIPIENTS)
			return OK;
		r = take_message(s, m, why);
		wire_close_fds(m);
	}
	return r;
}

bool
session_is_abandoned(const struct session *s)
{
	struct pollfd p = { s->send.fd, 0, 0 };

	return poll(&p, 1, 0) > 0 && (p.revents & POLLHUP) != 0;
}

static enum result
take_order(struct session *s, struct why *why)
{
	struct order *d = &s->order;
	struct bytes fields[RM_PEER_FIELDS];
	struct wire_message m;
	enum result r = listen_to_send(s, ANSWER_MS, &m, why);

	if (r != OK)
		return r;
	if (m.type != RM_PEER) {
		wire_close_fds(&m);
		return why_set(why, MALFORMED, "send did not say where to");
	}
	memcpy(&d->peer, m.body, sizeof d->peer);
	d->peer.conn[ID_LEN] = '\0';
	memcpy(d->room, m.tail.at, m.tail.len);
	if (!wire_take_all(bytes_of(d->room, m.tail.len), fields, nitems(fields)) || d->peer.port == 0 ||
	    d->peer.pin_len > RM_PIN_MAX || d->peer.tls > RM_TLS_PIN || d->peer.dane > RM_DANE_AFTER)
		return why_set(why, MALFORMED, "send named a peer that can't be");
	d->destination = fields[0];
	d->relay = fields[1];
	d->helo = fields[2];
	d->local_address = fields[3];
	d->ca = fields[4];
	d->ciphers = fields[5];
	d->certificate = fields[6];
	d->own_names = fields[7];
	return OK;
}

/* ---- the session's way ---- */

/* The session can do no more: each message that it has gets this outcome. */
__attribute__((noreturn)) static void
fail_all(struct session *s, const struct outcome *o)
{
	for (; s->n_given > 0; s->n_given--) {
		tell_done(s, &s->given[s->first], o, 0, RM_LOST);
		s->first = (s->first + 1) % RM_IN_FLIGHT;
	}
	end(s, true);
}

__attribute__((noreturn)) static void
stop(struct session *s, enum result r, const struct why *why)
{
	struct log_line l;

	if (r != ABSENT) {
		log_begin(&l, result_meaning(r)->severity, "session-ended");
		log_text(&l, "conn", s->order.peer.conn);
		log_text(&l, "result", result_meaning(r)->name);
		log_text(&l, "why", why->text);
		log_end(&l);
	}
	end(s, r == ABSENT);
}

/* Until the next message is whole. A peer that speaks or closes meanwhile has ended the connection: so does the session. */
static void
await_message(struct session *s)
{
	struct why why = WHY_NONE;
	struct wire_message m;
	enum result r = OK;

	while (r == OK && (s->n_given == 0 || !transaction_is_whole(&s->given[s->first]))) {
		struct pollfd p[2] = { { s->send.fd, POLLIN, 0 }, { s->line.talk.fd, POLLIN, 0 } };

		(void)poll(p, 2, -1);
		if (p[1].revents != 0 && p[0].revents == 0)
			end(s, false); /* send sees it; what it may have just sent is untried */
		if ((r = listen_to_send(s, 0, &m, &why)) == AGAIN)
			r = OK;
		else if (r == OK) {
			r = take_message(s, &m, &why);
			wire_close_fds(&m);
		}
	}
	if (r != OK)
		stop(s, r, &why);
}

/* With the message that comes next it has had as many as the peer takes on one connection (RFC 9422 3.1). */
bool
line_is_used_up(const struct line *l)
{
	return l->offer.mail_max > 0 && l->n_served + 1 >= l->offer.mail_max;
}

static void
serve_one(struct session *s)
{
	struct transaction *t = &s->given[s->first], *next = &s->given[(s->first + 1) % RM_IN_FLIGHT];
	struct outcome untried = { .what = RM_UNTRIED };
	struct why why = WHY_NONE;
	enum result r;
	bool limit;

	if ((r = drain(s, &why)) != OK)
		stop(s, r, &why);
	limit = line_is_used_up(&s->line);
	deliver(s, t, s->n_given > 1 && !limit && transaction_is_whole(next) ? next : NULL);
	transaction_free(t);
	s->first = (s->first + 1) % RM_IN_FLIGHT;
	s->n_given--;
	if (s->line.lost || limit) {
		untried.enhanced[0] = 4;
		fail_all(s, &untried);
	}
}

void
session_run(int fd, const char *conn)
{
	static struct session s;
	struct why why = WHY_NONE;
	struct outcome o;
	enum result r;

	s.send = channel_of(fd, &send_remote_protocol, RM_REMOTE, true);
	s.line.talk.fd = -1;
	s.questions = QUESTIONS_BY(REMOTE_RESOLVE_FD);
	questions_settle(&s.questions);
	(void)memccpy(s.order.peer.conn, conn, '\0', sizeof s.order.peer.conn);
	if ((r = take_order(&s, &why)) != OK)
		stop(&s, r, &why);
	await_message(&s);
	if (!line_open(&s, &o)) {
		if ((r = drain(&s, &why)) != OK)
			stop(&s, r, &why);
		fail_all(&s, &o);
	}
	for (;;) {
		serve_one(&s);
		await_message(&s);
	}
}
