/* Messages on their way into the queue.
 * Trusts queue's word that a message is kept, and nothing that comes under a reference no longer in use.
 * Never waits for queue, never says that a message was accepted before queue has said so. */
#include "policy/transaction.h"

#include "policy/privileges.h"
#include "policy/session.h"
#include "policy/trace.h"

#include "sys/clock.h"
#include "sys/log.h"
#include "wire/door.h"

#include <string.h>
#include <unistd.h>

#define OPEN_MS 8000     /* what queue may take to make a file; a restart of queue takes less */
#define COMMIT_MS 300000 /* … and to flush it: RFC 5321 4.5.3.2.6 gives the client's patience as 10 minutes */
#define LOOK_MS 5000     /* what is known of queue's room is no older, where sessions come */
#define QUEUE_LINE 4096  /* messages that may wait for queue */

static const struct port_events queue_events;

static enum result
open_queue(struct policy *p, struct why *why)
{
	struct channel c;
	enum result r;

	if (port_is_open(&p->queue.port))
		return OK;
	r = door_open(p->queue.doorway, &policy_queue_protocol, false, &c, why);
	if (r == OK && (r = port_open(&p->queue.port, &p->loop, c, &queue_events, QUEUE_LINE, why)) != OK)
		channel_close(&c);
	if (r == ABSENT) {
		/* whoever kept the door is gone for good: only a new generation gets a way to its successor */
		p->end = r;
		p->loop.stop = true;
	}
	return r;
}

/* The conversation is over, and with it what was on its way in it. */
static void
lose_queue(struct policy *p)
{
	port_close(&p->queue.port);
	p->queue.room = UINT64_MAX;
	calls_broken(&p->queue.asked);
}

/* What can't be sent must not leave half a transaction behind: queue forgets all that came over a closed channel. */
static enum result
send_to_queue(struct policy *p, struct session *s, uint16_t type, const void *body, struct bytes tail, struct why *why)
{
	enum result r = open_queue(p, why);

	if (r == OK) {
		r = port_send(&p->queue.port, type, s->transaction_ref, body, tail, NULL, why);
		if (r != OK) {
			log_why("queue-gone", r, why);
			calls_withdraw(&p->queue.asked, s->transaction_ref); /* the caller tells this one */
			lose_queue(p);
		}
	}
	return r == EXHAUSTED ? BROKEN : r; /* it is not room for mail that is short */
}

/* What is learned is for the next session: none waits for it. A refusal for want of room is never final. */
void
transactions_look(struct policy *p)
{
	struct why why = WHY_NONE;

	if (p->loop.now - p->queue.looked_ms < LOOK_MS || open_queue(p, &why) != OK)
		return;
	p->queue.looked_ms = p->loop.now;
	if (port_send(&p->queue.port, PQ_LOOK, 0, NULL, BYTES_NONE, NULL, &why) != OK) {
		log_why("queue-gone", BROKEN, &why);
		lose_queue(p);
	}
}

/* ---- opening ---- */

/* Moves whole recipients from *rest to the tail, as many as fit. */
static uint32_t
take_recipients(struct bytes *rest, struct buf *tail)
{
	uint32_t n = 0;

	for (;;) {
		struct bytes behind = *rest, field;
		size_t len;

		if (!wire_take(&behind, &field) || !wire_take(&behind, &field) || !wire_take(&behind, &field))
			return n;
		len = rest->len - behind.len;
		if (tail->len + len > PQ_TAIL_MAX)
			return n;
		buf_add(tail, bytes_first(*rest, len));
		*rest = behind;
		n++;
	}
}

static uint32_t
flags_of(const struct envelope *e)
{
	return (e->body_8bit ? (uint32_t)PQ_8BITMIME : 0) | (e->smtputf8 ? (uint32_t)PQ_SMTPUTF8 : 0) |
	    (e->ret == SP_RET_FULL ? (uint32_t)PQ_RET_FULL : 0) | (e->ret == SP_RET_HDRS ? (uint32_t)PQ_RET_HDRS : 0) |
	    (e->verp ? (uint32_t)PQ_VERP : 0);
}

static enum result
send_rest(struct policy *p, struct session *s, struct bytes rest, struct why *why)
{
	uint8_t room[PQ_TAIL_MAX];
	enum result r = OK;

	while (r == OK && rest.len > 0) {
		struct buf tail = BUF_OVER(room);
		struct pq_more more = { .n_here = take_recipients(&rest, &tail) };

		more.flags = rest.len == 0 ? PQ_COMPLETE : 0;
		r = more.n_here == 0 ? BROKEN : send_to_queue(p, s, PQ_MORE, &more, buf_bytes(&tail), why);
	}
	return r;
}

/* Received-SPF goes before Received, if there is room for both. */
static void
put_trace(struct buf *trace, const struct session *s, size_t *id_at)
{
	uint64_t now_s = clock_wall_s();

	spf_put_trace(trace, &s->client, &s->envelope);
	trace_put(trace, &s->client, &s->envelope, now_s, id_at);
	if (trace->failed) {
		buf_clear(trace);
		trace_put(trace, &s->client, &s->envelope, now_s, id_at);
	}
}

static enum result
send_envelope(struct policy *p, struct session *s, struct why *why)
{
	const struct envelope *e = &s->envelope;
	struct pq_open open = { .octets = e->octets, .n_recipients = e->n_recipients, .uid = s->client.peer.uid };
	struct bytes rest = buf_bytes(&e->recipients);
	uint8_t room[PQ_TAIL_MAX], trace_room[PQ_TRACE_MAX];
	struct buf tail = BUF_OVER(room), trace = BUF_OVER(trace_room);
	size_t id_at;
	enum result r;

	put_trace(&trace, s, &id_at);
	open.id_at = (uint16_t)id_at;
	wire_put(&tail, e->reverse);
	wire_put(&tail, e->envid);
	wire_put(&tail, buf_bytes(&trace));
	wire_put_string(&tail, p->settings.service);
	wire_put_string(&tail, s->client.peer.conn);
	if (tail.failed || trace.failed)
		return why_set(why, BROKEN, "the trace field does not fit");
	open.n_here = take_recipients(&rest, &tail);
	open.flags = flags_of(e) | (rest.len == 0 ? (uint32_t)PQ_COMPLETE : 0);
	r = send_to_queue(p, s, PQ_OPEN, &open, buf_bytes(&tail), why);
	return r == OK ? send_rest(p, s, rest, why) : r;
}

static void
log_trouble(const struct session *s, const char *event, enum result r, struct bytes text)
{
	struct log_line l;

	log_begin(&l, SEVERITY_WARNING, event);
	log_text(&l, "conn", s->client.peer.conn);
	log_text(&l, "result", result_meaning(r)->name);
	log_bytes(&l, "why", text);
	log_end(&l);
}

/* ---- ends ---- */

static void
after_commit(struct policy *p, struct session *s, const struct reply *r, const char *id)
{
	if (id != NULL) {
		s->n_accepted++;
		session_log_accept(s, id);
	}
	s->stage = STAGE_IDLE;
	envelope_end(&s->envelope);
	if (s->ending)
		session_end(p, s); /* now nothing is waited for */
	else
		session_answer(p, s, r);
}

/* The transaction came to nothing; the session is told. */
static void
fail(struct policy *p, struct session *s, enum result r, struct bytes text)
{
	struct reply reply = reply_of_failure(r);

	log_trouble(s, s->stage == STAGE_COMMITTING ? "commit-failed" : "open-failed", r, text);
	if (s->stage == STAGE_COMMITTING)
		after_commit(p, s, &reply, NULL);
	else {
		s->stage = STAGE_ENVELOPE; /* the client may say DATA again (RFC 5321 3.3), or RSET */
		session_answer(p, s, &reply);
	}
}

/* Queue knows nothing of it any more. While content comes the session is not told: it hears it when it commits. */
static void
lose(struct policy *p, struct session *s, enum result r, struct bytes text)
{
	if (s->stage == STAGE_OPENING || s->stage == STAGE_COMMITTING)
		fail(p, s, r, text);
	else
		s->lost = true;
}

void
transaction_abort(struct policy *p, struct session *s)
{
	struct why why = WHY_NONE;

	if (calls_wait(&s->transaction) && !s->lost && port_is_open(&p->queue.port))
		(void)!send_to_queue(p, s, PQ_ABORT, NULL, BYTES_NONE, &why); /* on a failure queue forgets it, too */
	calls_withdraw(&p->queue.asked, s->transaction_ref);
	s->stage = STAGE_IDLE;
	envelope_end(&s->envelope);
}

/* ---- what queue says ---- */

static void
give_writer(struct policy *p, struct session *s, struct wire_message *m)
{
	const struct pq_writer *writer = m->body;
	struct sp_content content = { .max_octets = s->client.max_octets, .keep_free = writer->keep_free };
	struct why why = WHY_NONE;

	s->stage = STAGE_WRITING;
	if (port_send(&s->port, SP_CONTENT, 0, &content, BYTES_NONE, m->fds, &why) != OK)
		session_end(p, s);
}

static void
committed(struct policy *p, struct session *s, const struct wire_message *m)
{
	struct reply reply = REPLY(250, 2, 0, 0, "ok, id");
	struct id id;

	if (s->stage != STAGE_COMMITTING || !id_from_bytes(bytes_of(m->body, ID_LEN), &id)) {
		lose(p, s, BROKEN, BYTES("queue kept what nobody committed"));
		return;
	}
	reply.custom = bytes_of(id.text, ID_LEN);
	after_commit(p, s, &reply, id.text);
}

static void
took_too_long(struct policy *p, struct session *s)
{
	struct why why = WHY_NONE;

	if (s->stage == STAGE_OPENING) {
		(void)!send_to_queue(p, s, PQ_ABORT, NULL, BYTES_NONE, &why);
		calls_withdraw(&p->queue.asked, s->transaction_ref);
	}
	fail(p, s, AGAIN, BYTES("queue did not answer in time"));
}

static void
said(struct calls *c, struct caller *who, unsigned what, enum call_end how, struct wire_message *m)
{
	struct session *s = container_of(who, struct session, transaction);
	struct policy *p = policy_of_loop(c->loop);

	(void)what;
	if (how == CALL_HEARD) {
		if (s->stage == STAGE_OPENING)
			give_writer(p, s, m);
	} else if (how == CALL_EXPIRED)
		took_too_long(p, s);
	else if (how == CALL_BROKEN)
		lose(p, s, BROKEN, BYTES("queue is gone"));
	else if (m->type == PQ_COMMITTED)
		committed(p, s, m);
	else
		lose(p, s, ((const struct pq_failed *)m->body)->result == EXHAUSTED ? EXHAUSTED : BROKEN, m->tail);
}

static enum result
from_queue(struct port *port, struct wire_message *m, struct why *why)
{
	struct policy *p = policy_of_loop(port->loop);
	struct id id;

	switch (m->type) {
	case PQ_WRITER: /* if nobody is there any more, the descriptor is closed with the message */
		(void)calls_heard(&p->queue.asked, m->ref, m);
		return OK;
	case PQ_COMMITTED:
		if (!id_from_bytes(bytes_of(m->body, ID_LEN), &id))
			return why_set(why, MALFORMED, "a message without an id from queue");
		(void)calls_answered(&p->queue.asked, m->ref, m);
		return OK;
	case PQ_FAILED:
		(void)calls_answered(&p->queue.asked, m->ref, m);
		return OK;
	case PQ_ROOM:
		p->queue.room = ((const struct pq_room *)m->body)->octets;
		return OK;
	default:
		return why_set(why, MALFORMED, "queue sent what is not its to send");
	}
}

static void
queue_ended(struct port *port, enum result r, struct why *why)
{
	log_why("queue-gone", r, why);
	lose_queue(policy_of_loop(port->loop));
}

static const struct port_events queue_events = { from_queue, queue_ended };

/* ---- opening and committing ---- */

void
transaction_open(struct policy *p, struct session *s)
{
	struct why why = WHY_NONE;
	enum result r = BROKEN;

	s->lost = false;
	s->stage = STAGE_OPENING;
	s->transaction_ref = calls_ask(&p->queue.asked, &s->transaction, 0, said, OPEN_MS);
	if (s->transaction_ref == 0)
		(void)why_set(&why, r, "too many transactions");
	else
		r = send_envelope(p, s, &why);
	if (r == OK)
		return;
	calls_withdraw(&p->queue.asked, s->transaction_ref);
	fail(p, s, r, bytes_of_string(why.text));
}

void
transaction_commit(struct policy *p, struct session *s, const struct sp_commit *said_octets)
{
	struct pq_commit commit = { .octets = said_octets->octets, .sum = said_octets->sum };
	struct why why = WHY_NONE;
	enum result r = BROKEN;

	s->stage = STAGE_COMMITTING;
	calls_renew(&p->queue.asked, s->transaction_ref, COMMIT_MS);
	if (s->lost)
		(void)why_set(&why, r, "queue was replaced while the message came in");
	else
		r = send_to_queue(p, s, PQ_COMMIT, &commit, BYTES_NONE, &why);
	if (r == OK)
		return;
	calls_withdraw(&p->queue.asked, s->transaction_ref);
	fail(p, s, r, bytes_of_string(why.text));
}

void
transactions_begin(struct policy *p)
{
	p->queue = (struct queue_line){ .port = { .channel = { .fd = -1 } },
		.asked = calls_of(&p->loop, 4 * (size_t)p->settings.max_sessions),
		.doorway = POLICY_QUEUE_FD,
		.room = UINT64_MAX };
}
