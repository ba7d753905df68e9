/* Messages on their way into the queue.
 * Trusts queue's word that a message is kept, and nothing that comes under a reference no longer in use.
 * Never waits for queue, never says that a message was accepted before queue has said so. */
#include "policy/policy.h"
#include "policy/trace.h"

#include "sys/clock.h"
#include "sys/log.h"

#include <string.h>
#include <unistd.h>

#define OPEN_MS 8000     /* what queue may take to make a file; a restart of queue takes less */
#define COMMIT_MS 300000 /* … and to flush it: RFC 5321 4.5.3.2.6 gives the client's patience as 10 minutes */
#define LOOK_MS 5000     /* what is known of queue's room is no older, where sessions come */
#define QUEUE_LINE 4096  /* messages that may wait for queue */

static uint32_t
ref_of(const struct policy *p, const struct session *s)
{
	return (uint32_t)s->turn << SLOT_BITS | (uint32_t)(s - p->sessions);
}

/* The session that waits for an answer with this reference; null if none does any more. */
static struct session *
session_of(struct policy *p, uint64_t ref, enum stage stage)
{
	struct session *s;

	if ((ref & SLOT_MASK) >= p->n_used)
		return NULL;
	s = &p->sessions[ref & SLOT_MASK];
	return s->used && s->stage == stage && !s->lost && ref_of(p, s) == ref ? s : NULL;
}

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

static void fail(struct policy *p, struct session *s, enum result r, struct bytes text);

/* The conversation is over, and with it what was on its way in it; the session `but` is its caller's to tell. */
static void
lose_queue(struct policy *p, const struct session *but)
{
	port_close(&p->queue.port);
	p->queue.room = UINT64_MAX;
	for (uint32_t i = 0; i < p->n_used; i++) {
		struct session *s = &p->sessions[i];

		if (!s->used || s->lost || s == but)
			continue;
		if (s->stage == STAGE_WRITING)
			s->lost = true;
		else if (s->stage == STAGE_OPENING || s->stage == STAGE_COMMITTING)
			fail(p, s, BROKEN, BYTES("queue is gone"));
	}
}

/* What can't be sent must not leave half a transaction behind: queue forgets all that came over a closed channel. */
static enum result
send_to_queue(
    struct policy *p, const struct session *s, uint16_t type, const void *body, struct bytes tail, struct why *why)
{
	enum result r = open_queue(p, why);

	if (r != OK)
		return r;
	r = port_send(&p->queue.port, type, ref_of(p, s), body, tail, NULL, why);
	if (r != OK) {
		log_why("queue-gone", r, why);
		lose_queue(p, s);
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
		lose_queue(p, NULL);
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

/* The transaction came to nothing; the session is told. */
static void
fail(struct policy *p, struct session *s, enum result r, struct bytes text)
{
	struct reply reply = reply_of_failure(r);

	log_trouble(s, s->stage == STAGE_COMMITTING ? "commit-failed" : "open-failed", r, text);
	if (s->stage == STAGE_COMMITTING)
		session_after_commit(p, s, &reply, NULL);
	else {
		s->stage = STAGE_ENVELOPE; /* the client may say DATA again (RFC 5321 3.3), or RSET */
		session_answer(p, s, &reply);
	}
}

void
transaction_open(struct policy *p, struct session *s)
{
	struct why why = WHY_NONE;
	enum result r;

	s->turn = (uint16_t)((s->turn + 1) & (UINT32_MAX >> SLOT_BITS));
	s->lost = false;
	s->stage = STAGE_OPENING;
	s->waits_since_ms = p->loop.now;
	r = send_envelope(p, s, &why);
	if (r != OK)
		fail(p, s, r, bytes_of_string(why.text));
}

void
transaction_commit(struct policy *p, struct session *s, const struct sp_commit *said)
{
	struct pq_commit commit = { .octets = said->octets, .sum = said->sum };
	struct why why = WHY_NONE;
	enum result r = BROKEN;

	s->stage = STAGE_COMMITTING;
	s->waits_since_ms = p->loop.now;
	if (s->lost)
		(void)why_set(&why, r, "queue was replaced while the message came in");
	else
		r = send_to_queue(p, s, PQ_COMMIT, &commit, BYTES_NONE, &why);
	if (r != OK)
		fail(p, s, r, bytes_of_string(why.text));
}

void
transaction_abort(struct policy *p, struct session *s)
{
	struct why why = WHY_NONE;

	if ((s->stage == STAGE_OPENING || s->stage == STAGE_WRITING) && !s->lost && port_is_open(&p->queue.port))
		(void)!send_to_queue(p, s, PQ_ABORT, NULL, BYTES_NONE, &why); /* on a failure queue forgets it, too */
	s->stage = STAGE_IDLE;
	envelope_end(&s->envelope);
}

/* ---- what queue says ---- */

static void
on_writer(struct policy *p, struct wire_message *m)
{
	const struct pq_writer *writer = m->body;
	struct session *s = session_of(p, m->ref, STAGE_OPENING);
	struct sp_content content;
	struct why why = WHY_NONE;

	if (s == NULL)
		return; /* reset meanwhile; the descriptor is closed with the message */
	content.max_octets = s->client.max_octets;
	content.keep_free = writer->keep_free;
	s->stage = STAGE_WRITING;
	if (port_send(&s->port, SP_CONTENT, 0, &content, BYTES_NONE, m->fds, &why) != OK)
		session_end(p, s);
}

static enum result
on_committed(struct policy *p, const struct wire_message *m, struct why *why)
{
	const struct pq_committed *committed = m->body;
	struct session *s = session_of(p, m->ref, STAGE_COMMITTING);
	struct reply reply = REPLY(250, 2, 0, 0, "ok, id");
	struct id id;

	if (!id_from_bytes(bytes_of(committed->id, ID_LEN), &id))
		return why_set(why, MALFORMED, "a message without an id from queue");
	reply.custom = bytes_of(id.text, ID_LEN);
	if (s != NULL)
		session_after_commit(p, s, &reply, id.text);
	return OK;
}

static void
on_failed(struct policy *p, const struct wire_message *m)
{
	const struct pq_failed *failed = m->body;
	struct session *s = session_of(p, m->ref, STAGE_OPENING);

	if (s == NULL)
		s = session_of(p, m->ref, STAGE_COMMITTING);
	if (s == NULL && (s = session_of(p, m->ref, STAGE_WRITING)) != NULL) {
		s->lost = true; /* told when it commits */
		return;
	}
	if (s != NULL)
		fail(p, s, failed->result == EXHAUSTED ? EXHAUSTED : BROKEN, m->tail);
}

static enum result
from_queue(struct port *port, struct wire_message *m, struct why *why)
{
	struct policy *p = policy_of_loop(port->loop);

	switch (m->type) {
	case PQ_WRITER:
		on_writer(p, m);
		return OK;
	case PQ_COMMITTED:
		return on_committed(p, m, why);
	case PQ_FAILED:
		on_failed(p, m);
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
	lose_queue(policy_of_loop(port->loop), NULL);
}

const struct port_events queue_events = { from_queue, queue_ended };

void
transactions_sweep(struct policy *p)
{
	for (uint32_t i = 0; i < p->n_used; i++) {
		struct session *s = &p->sessions[i];
		uint64_t patience = s->stage == STAGE_COMMITTING ? COMMIT_MS : OPEN_MS;

		if (!s->used || (s->stage != STAGE_OPENING && s->stage != STAGE_COMMITTING) ||
		    p->loop.now - s->waits_since_ms < patience)
			continue;
		if (s->stage == STAGE_OPENING) {
			struct why why = WHY_NONE;

			(void)!send_to_queue(p, s, PQ_ABORT, NULL, BYTES_NONE, &why);
		}
		fail(p, s, AGAIN, BYTES("queue did not answer in time"));
	}
}
