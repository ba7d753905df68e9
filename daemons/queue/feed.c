/* The conversation with `send`.
 * Trusts `send` to know when a message is done: that is its work. Not its ids or indexes: an id that is none ends the
 * conversation, one that is not there is answered so, an index beyond the envelope is refused.
 * Never sends what was not asked for beyond the credit given. */
#include "queue/feed.h"

#include "sys/fd.h"
#include "sys/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAITING_MAX 65536

static void
broken(struct feed *f, enum result r, const struct why *why)
{
	log_why("send-is-gone", r, why);
	f->wants_end = true;
	f->loop->stop = true;
}

static bool
read_id(struct id *id, const char text[ID_LEN + 1])
{
	return text[ID_LEN] == '\0' && id_from_bytes(bytes_of(text, ID_LEN), id);
}

static void
complain(const char *event, const struct id *id, enum result r, const struct why *why)
{
	struct log_line l;

	log_begin(&l, result_meaning(r)->severity, event);
	log_text(&l, "msg", id->text);
	log_text(&l, "result", result_meaning(r)->name);
	log_text(&l, "why", why->text);
	log_end(&l);
}

/* A message that can't be opened or read now is still in the queue: it is announced when that works again. */
static void
try_later(struct feed *f, const char *event, const struct id *id, enum result r, const struct why *why)
{
	struct why reason = WHY_NONE;

	(void)why_set(
	    &reason, r, "%s; it is tried again %s", why->text, late_add(f->late, id) ? "soon" : "at the next start");
	complain(event, id, r, &reason);
}

/* ---- out ---- */

void
feed_announce(struct feed *f, const struct id *id, bool fresh, int fd)
{
	struct qs_message m = { .fresh = fresh };
	struct why why = WHY_NONE;
	enum result r;

	memcpy(m.id, id->text, sizeof m.id);
	if ((r = port_send(&f->port, QS_MESSAGE, 0, &m, BYTES_NONE, &fd, &why)) != OK)
		broken(f, r, &why);
}

static void
announce_fresh(struct feed *f, const struct id *id)
{
	struct why why = WHY_NONE;
	enum result r;
	int fd;

	r = place_find(f->place, id, O_RDONLY, &fd, &why);
	if (r != OK) {
		if (r != ABSENT)
			try_later(f, "not-announced", id, r, &why);
		return;
	}
	f->credit--;
	feed_announce(f, id, true, fd);
	(void)close(fd);
}

enum result
feed_has_room(struct feed *f, struct why *why)
{
	size_t size = f->size == 0 ? 2 * TRANSACTIONS_MAX : f->size * 2;
	uint64_t *ring;

	if (f->n + TRANSACTIONS_MAX < f->size)
		return OK;
	if (size > FRESH_MAX)
		return why_set(why, EXHAUSTED, "%zu messages wait for `send` to take them", f->n);
	ring = reallocarray(NULL, size, sizeof *ring);
	if (ring == NULL)
		return why_set(why, EXHAUSTED, "no memory for the list of new messages");
	for (size_t i = 0; i < f->n; i++)
		ring[i] = f->fresh[(f->first + i) % f->size];
	free(f->fresh);
	f->fresh = ring;
	f->first = 0;
	f->size = size;
	return OK;
}

void
feed_fresh(struct feed *f, const struct id *id)
{
	if (f->n == 0 && f->credit > 0)
		announce_fresh(f, id);
	else if (f->n < f->size)
		f->fresh[(f->first + f->n++) % f->size] = id_number(id);
}

bool
feed_may_announce(const struct feed *f)
{
	return f->n == 0 && f->credit > 0 && port_is_open(&f->port);
}

static void
spend_credit(struct feed *f)
{
	while (f->n > 0 && f->credit > 0 && !f->wants_end) {
		struct id id = id_of_number(f->fresh[f->first]);

		f->first = (f->first + 1) % f->size;
		f->n--;
		announce_fresh(f, &id);
	}
}

static struct qs_name
name_of(const struct id *id)
{
	struct qs_name n = { .spare = 0 };

	memcpy(n.id, id->text, sizeof n.id);
	return n;
}

static void
tell(struct feed *f, uint16_t type, uint64_t ref, const void *body, struct bytes tail)
{
	struct why why = WHY_NONE;
	enum result r = port_send(&f->port, type, ref, body, tail, NULL, &why);

	if (r != OK)
		broken(f, r, &why);
}

void
feed_forget(struct feed *f, const struct id *id)
{
	struct qs_name n = name_of(id);

	tell(f, QS_FORGET, 0, &n, BYTES_NONE);
}

void
feed_bounce(struct feed *f, const struct id *id)
{
	struct qs_name n = name_of(id);

	tell(f, QS_BOUNCE, 0, &n, BYTES_NONE);
}

void
feed_retry(struct feed *f, const struct id *id)
{
	struct qs_retry retry = { .spare = 0 };

	if (id != NULL)
		memcpy(retry.id, id->text, sizeof retry.id);
	tell(f, QS_RETRY, 0, &retry, BYTES_NONE);
}

/* ---- in ---- */

/* A message that `send` speaks of. What is gone or damaged is told, once, and is no reason to end anything. */
static struct book *
book_of(struct feed *f, const struct id *id, const char *event)
{
	struct why why = WHY_NONE;
	struct book *book = NULL;
	enum result r = shelf_get(f->shelf, id, &book, &why);

	if (r == OK)
		return book;
	if (r == ABSENT)
		(void)why_set(&why, r, "it is not in the queue");
	complain(event, id, r, &why);
	return NULL;
}

static enum result
on_status(struct feed *f, const struct wire_message *m, struct why *why)
{
	const struct qs_status *s = m->body;
	struct why reason = WHY_NONE;
	struct book *book;
	enum result r;
	struct id id;

	if (!read_id(&id, s->id) || !store_status_is_valid(s->status))
		return why_set(why, MALFORMED, "a status of nothing");
	if ((book = book_of(f, &id, "status-not-kept")) == NULL)
		return OK;
	if (s->recipient >= book->n_recipients)
		return why_set(why, MALFORMED, "recipient %u of %u", s->recipient, book->n_recipients);
	/* the note first: a status that is final must have its reason */
	if (m->tail.len > 0 && (r = shelf_note(book, s->recipient, m->tail, &reason)) != OK)
		complain("note-not-kept", &id, r, &reason);
	if (s->status == STORE_WAITING)
		return OK;
	if ((r = store_put_status(book->fd, s->recipient, (enum store_status)s->status)) != OK) {
		(void)why_errno(&reason, r, "writing a status");
		complain("status-not-kept", &id, r, &reason);
	}
	return OK;
}

static enum result
on_later(struct feed *f, const struct wire_message *m, struct why *why)
{
	const struct qs_later *later = m->body;
	struct why reason = WHY_NONE;
	struct book *book;
	enum result r;
	struct id id;

	if (!read_id(&id, later->id))
		return why_set(why, MALFORMED, "a time for nothing");
	if ((book = book_of(f, &id, "time-not-kept")) == NULL)
		return OK;
	if ((r = store_put_later(book->fd, later->attempts, later->due_at)) != OK) {
		(void)why_errno(&reason, r, "writing a due time");
		complain("time-not-kept", &id, r, &reason);
	}
	return OK;
}

static enum result
on_done(struct feed *f, const struct wire_message *m, struct why *why)
{
	const struct qs_name *name = m->body;
	struct why reason = WHY_NONE;
	enum result r;
	struct id id;
	int fd;

	if (!read_id(&id, name->id))
		return why_set(why, MALFORMED, "the end of nothing");
	fd = shelf_take(f->shelf, &id);
	if (fd >= 0 && spares_keep(f->spares, &id, fd, commits_order(f->commits)))
		return OK;
	fd_close(&fd);
	if ((r = place_remove(f->place, &id, &reason)) != OK && r != ABSENT)
		complain("not-removed", &id, r, &reason);
	return OK;
}

/* Opens one that is to be sent again: it must decode and not be held. */
static enum result
open_for_send(struct feed *f, const struct id *id, int *fd)
{
	struct why why = WHY_NONE;
	struct store_message message = { 0 };
	enum result r = place_find(f->place, id, O_RDONLY, fd, &why);

	if (r != OK)
		*fd = -1;
	else
		r = store_read(*fd, &message, &why);
	if (r == OK && message.held)
		r = ABSENT;
	else if (r == MALFORMED)
		past_set_aside(f->past, id, *fd, &why);
	else if (r != OK && r != ABSENT)
		try_later(f, "not-fetched", id, r, &why);
	store_message_free(&message);
	if (r != OK)
		fd_close(fd);
	return r;
}

static bool
needs_proof(const struct feed *f, const struct id *id)
{
	return past_has(f->past, id) && !proofs_know(f->proofs, id);
}

enum result
feed_prove(struct feed *f, const struct id *id, int fd, struct why *why)
{
	enum result r = needs_proof(f, id) ? store_prove(fd, id, why) : OK;

	if (r == MALFORMED)
		past_set_aside(f->past, id, fd, why);
	return r;
}

static enum result
answer_fetch(struct feed *f, const struct id *id, uint64_t ref, const int *fd, struct why *why)
{
	struct qs_message answer = { .fresh = 0 };
	struct qs_name gone = name_of(id);

	if (fd == NULL)
		return port_send(&f->port, QS_GONE, ref, &gone, BYTES_NONE, NULL, why);
	memcpy(answer.id, id->text, sizeof answer.id);
	return port_send(&f->port, QS_MESSAGE, ref, &answer, BYTES_NONE, fd, why);
}

void
feed_proved(struct feed *f, struct proof *proof)
{
	bool good = proof->r == OK && place_is_there(proof->fd) && !store_is_held(proof->fd);
	struct why why = WHY_NONE;
	enum result r;

	if (proof->r == MALFORMED)
		past_set_aside(f->past, &proof->id, proof->fd, &proof->why);
	else if (proof->r != OK)
		try_later(f, "not-fetched", &proof->id, proof->r, &proof->why);
	r = answer_fetch(f, &proof->id, proof->ref, good ? &proof->fd : NULL, &why);
	if (r != OK)
		broken(f, r, &why);
}

static enum result
on_fetch(struct feed *f, const struct wire_message *m, struct why *why)
{
	const struct qs_name *name = m->body;
	struct proof proof = { .is_asked = true, .ref = m->ref };
	enum result r;

	if (!read_id(&proof.id, name->id))
		return why_set(why, MALFORMED, "asked for nothing");
	if (open_for_send(f, &proof.id, &proof.fd) != OK)
		return answer_fetch(f, &proof.id, m->ref, NULL, why);
	if (needs_proof(f, &proof.id) && proofs_have_room(f->proofs)) {
		proofs_begin(f->proofs, &proof);
		return OK;
	}
	proof.r = feed_prove(f, &proof.id, proof.fd, &proof.why);
	r = answer_fetch(f, &proof.id, m->ref, proof.r == OK ? &proof.fd : NULL, why);
	fd_close(&proof.fd);
	return r;
}

static enum result
on_message(struct port *p, struct wire_message *m, struct why *why)
{
	struct feed *f = container_of(p, struct feed, port);
	const struct qs_credit *credit = m->body;

	switch (m->type) {
	case QS_CREDIT:
		f->credit = credit->n > UINT32_MAX - f->credit ? UINT32_MAX : f->credit + credit->n;
		spend_credit(f);
		return OK;
	case QS_FETCH:
		return on_fetch(f, m, why);
	case QS_STATUS:
		return on_status(f, m, why);
	case QS_LATER:
		return on_later(f, m, why);
	default: /* QS_DONE */
		return on_done(f, m, why);
	}
}

static void
ended(struct port *p, enum result r, struct why *why)
{
	broken(container_of(p, struct feed, port), r, why);
}

static const struct port_events events = { on_message, ended };

enum result
feed_open(struct feed *f, struct loop *loop, int fd, struct why *why)
{
	f->loop = loop;
	return port_open(
	    &f->port, loop, channel_of(fd, &queue_send_protocol, QS_QUEUE, false), &events, WAITING_MAX, why);
}
