/* Conversations that bring new messages.
 * Trusts no client for a number: transactions, recipients, octets and refs are bounded and checked here.
 * Never answers what it was not asked; a client that talks nonsense loses its conversation and its half messages. */
#include "queue/intake.h"

#include "sys/clock.h"
#include "sys/fd.h"
#include "sys/log.h"
#include "wire/door.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWERS_WAITING_MAX 4096
#define ORPHANS_MS 1000

static void ended(struct port *p, enum result r, struct why *why);

static struct transaction **
bucket_of(struct client *c, uint64_t ref)
{
	return &c->buckets[(ref ^ ref >> 16) % CLIENT_BUCKETS];
}

static struct transaction *
find(struct client *c, uint64_t ref)
{
	struct transaction *t = *bucket_of(c, ref);

	while (t != NULL && t->ref != ref)
		t = t->next_same;
	return t;
}

/* ---- a transaction's beginning and end ---- */

static void
count_draft(struct transaction *t)
{
	t->door->draft_octets -= t->draft_octets;
	t->draft_octets = t->draft.octets.size;
	t->door->draft_octets += t->draft_octets;
}

static void
take_out(struct transaction *t)
{
	struct transaction **at;

	if (t->client == NULL)
		return;
	for (at = bucket_of(t->client, t->ref); *at != t; at = &(*at)->next_same)
		;
	*at = t->next_same;
	t->client->n_transactions--;
	t->client = NULL;
}

static void
link_newest(struct intake *in, struct transaction *t)
{
	t->older = in->newest;
	*(in->newest != NULL ? &in->newest->newer : &in->oldest) = t;
	in->newest = t;
}

static void
unlink_by_age(struct intake *in, struct transaction *t)
{
	*(t->newer != NULL ? &t->newer->older : &in->newest) = t->older;
	*(t->older != NULL ? &t->older->newer : &in->oldest) = t->newer;
}

uint64_t
intake_open_from(const struct intake *in)
{
	return in->oldest != NULL ? id_number(&in->oldest->id) : in->last_id + 1;
}

static void
forget(struct transaction *t)
{
	commit_abandon(t->door->intake->commits, t);
	t->door->n_transactions--;
	free(t);
}

/* Whoever has the content's descriptor can fill the disk through it, and holds a file of ours. So an abandoned content counts
 * until its writer is gone. That is mostly so when it is abandoned. */
static void
look_at_orphans(struct loop *loop, struct timer *timer)
{
	struct intake *in = container_of(timer, struct intake, orphans_due);

	for (struct transaction **at = &in->orphans, *t; (t = *at) != NULL;)
		if (place_is_alone(transaction_fd(t))) {
			*at = t->next_same;
			forget(t);
		} else
			at = &t->next_same;
	if (in->orphans != NULL)
		(void)loop_at(loop, timer, loop->now + ORPHANS_MS);
}

static void
drop(struct transaction *t)
{
	struct intake *in = t->door->intake;
	bool had_writer = t->state == T_WRITING;

	take_out(t);
	unlink_by_age(in, t);
	store_draft_free(&t->draft);
	count_draft(t);
	if (!had_writer || transaction_fd(t) < 0 || place_is_alone(transaction_fd(t))) {
		forget(t);
		return;
	}
	t->state = T_ORPHAN;
	t->next_same = in->orphans;
	in->orphans = t;
	if (in->orphans_due.slot == 0)
		(void)loop_at(in->loop, &in->orphans_due, in->loop->now + ORPHANS_MS);
}

static enum result
create(struct client *c, uint64_t ref, struct transaction **made, struct why *why)
{
	struct door *door = c->door;
	struct intake *in = door->intake;
	struct transaction *t;

	if (door->n_transactions >= DOOR_TRANSACTIONS_MAX || door->draft_octets >= DOOR_DRAFTS_MAX)
		return why_set(why, EXHAUSTED, "%u messages of this service come in already", door->n_transactions);
	t = calloc(1, sizeof *t);
	if (t == NULL)
		return why_set(why, EXHAUSTED, "no memory for another message");
	t->client = c;
	t->door = door;
	t->ref = ref;
	t->received_us = clock_wall_us();
	t->id = id_next(&in->last_id, t->received_us);
	t->fd = -1;
	t->spare = SPARE_NONE;
	t->draft = STORE_DRAFT_NONE;
	t->next_same = *bucket_of(c, ref);
	*bucket_of(c, ref) = t;
	link_newest(in, t);
	door->n_transactions++;
	c->n_transactions++;
	*made = t;
	return OK;
}

/* A disk that must not be written to is one without room, to whoever sends. */
static enum result
answer_failure(struct client *c, uint64_t ref, enum result r, const struct why *reason, struct why *why)
{
	struct pq_failed failed = { .result = (uint32_t)(r == REFUSED ? EXHAUSTED : r) };

	log_why("not-accepted", r, reason);
	return port_send(
	    &c->port, PQ_FAILED, ref, &failed, bytes_first(bytes_of_string(reason->text), WHY_MAX), NULL, why);
}

/* ---- requests ---- */

static enum result
add_recipients(struct transaction *t, struct bytes tail, uint32_t n, struct why *why)
{
	for (uint32_t i = 0; i < n; i++) {
		struct store_recipient r;
		struct bytes notify;
		enum result result;

		if (!wire_take(&tail, &r.forward) || !wire_take(&tail, &r.orcpt) || !wire_take(&tail, &notify) ||
		    notify.len != 1)
			return why_set(why, MALFORMED, "fewer recipients than announced");
		r.notify = notify.at[0];
		if ((result = store_draft_add(&t->draft, &r, why)) != OK)
			return result;
	}
	return tail.len == 0 ? OK : why_set(why, MALFORMED, "more behind the recipients");
}

static uint32_t
store_flags(uint32_t pq)
{
	static const struct {
		uint32_t pq, store;
	} pairs[] = {
		{ PQ_8BITMIME, STORE_8BITMIME },
		{ PQ_SMTPUTF8, STORE_SMTPUTF8 },
		{ PQ_RET_FULL, STORE_RET_FULL },
		{ PQ_RET_HDRS, STORE_RET_HDRS },
		{ PQ_BOUNCE, STORE_BOUNCE },
		{ PQ_DOUBLE_BOUNCE, STORE_DOUBLE_BOUNCE },
		{ PQ_VERP, STORE_VERP },
	};
	uint32_t flags = 0;

	for (size_t i = 0; i < nitems(pairs); i++)
		if (pq & pairs[i].pq)
			flags |= pairs[i].store;
	return flags;
}

/* If the disk is full, spare files are the first to go. */
static enum result
make_room(struct intake *in, uint64_t octets, struct why *why)
{
	if (place_has_room(in->place, octets, in->loop->now, NULL) == OK)
		return OK;
	if (spares_count(in->spares) > 0) {
		spares_clear(in->spares);
		in->place->looked_ms = 0;
	}
	return place_has_room(in->place, octets, in->loop->now, why);
}

static enum result
begin(struct transaction *t, const struct pq_open *open, struct bytes tail, struct why *why)
{
	struct store_facts f = { .id = t->id,
		.flags = store_flags(open->flags),
		.n_recipients = open->n_recipients,
		.uid = open->uid,
		.received_us = t->received_us,
		.id_at = open->id_at };
	enum result r;

	if (!wire_take(&tail, &f.reverse) || !wire_take(&tail, &f.envid) || !wire_take(&tail, &f.trace) ||
	    !wire_take(&tail, &f.service) || !wire_take(&tail, &f.conn))
		return why_set(why, MALFORMED, "an envelope without its fields");
	if ((r = make_room(t->door->intake, open->octets, why)) != OK ||
	    (r = feed_has_room(t->door->intake->feed, why)) != OK)
		return r;
	if ((r = store_draft_begin(&t->draft, &f, why)) != OK)
		return r;
	return add_recipients(t, tail, open->n_here, why);
}

static enum result
give_writer(struct transaction *t, struct why *why)
{
	struct pq_writer writer = { .keep_free = t->door->intake->place->least_free };
	enum result r, sent;
	int fd;

	if (!store_draft_is_complete(&t->draft))
		return why_set(
		    why, MALFORMED, "fewer recipients than the %u that were announced", t->draft.n_recipients);
	if ((r = commit_prepare(t->door->intake->commits, t, &fd, why)) != OK)
		return r;
	memcpy(writer.id, t->id.text, sizeof writer.id);
	sent = port_send(&t->client->port, PQ_WRITER, t->ref, &writer, BYTES_NONE, &fd, why);
	(void)close(fd);
	t->state = T_WRITING;
	return sent;
}

/* Ends a transaction that failed; only the end of the conversation itself goes further up. */
static enum result
settle(struct client *c, struct transaction *t, uint64_t ref, enum result r, const struct why *reason, struct why *why)
{
	if (t != NULL && r != OK)
		drop(t);
	if (r == OK)
		return OK;
	if (r == ABSENT) /* nobody takes the answers */
		return why_set(why, r, "%s", reason->text);
	return answer_failure(c, ref, r, reason, why);
}

static enum result
on_open(struct client *c, const struct wire_message *m, struct why *why)
{
	const struct pq_open *open = m->body;
	struct why reason = WHY_NONE;
	struct transaction *t = NULL;
	enum result r;

	if (find(c, m->ref) != NULL)
		return why_set(why, MALFORMED, "a second message with the mark %llu", (unsigned long long)m->ref);
	if ((r = create(c, m->ref, &t, &reason)) == OK && (r = begin(t, open, m->tail, &reason)) == OK) {
		count_draft(t);
		if (open->flags & PQ_COMPLETE)
			r = give_writer(t, &reason);
	}
	return settle(c, t, m->ref, r, &reason, why);
}

static enum result
on_more(struct client *c, const struct wire_message *m, struct why *why)
{
	const struct pq_more *more = m->body;
	struct transaction *t = find(c, m->ref);
	struct why reason = WHY_NONE;
	enum result r;

	if (t == NULL)
		return OK; /* its failure has been answered, and the client could not know that yet */
	if (t->state != T_OPENING)
		return why_set(why, MALFORMED, "recipients after the last");
	r = add_recipients(t, m->tail, more->n_here, &reason);
	count_draft(t);
	if (r == OK && (more->flags & PQ_COMPLETE))
		r = give_writer(t, &reason);
	return settle(c, t, m->ref, r, &reason, why);
}

static enum result
on_commit(struct client *c, const struct wire_message *m, struct why *why)
{
	const struct pq_commit *commit = m->body;
	struct transaction *t = find(c, m->ref);
	struct why reason = WHY_NONE;
	enum result r;

	if (t == NULL || t->state != T_WRITING)
		return why_set(why, MALFORMED, "a commit of what is not being written");
	if ((r = past_note(c->door->intake->past, &t->id, &reason)) == OK &&
	    (r = commit_begin(c->door->intake->commits, t, commit, &reason)) == OK)
		t->state = T_FLUSHING;
	return settle(c, t, m->ref, r, &reason, why);
}

static enum result
on_look(struct client *c, struct why *why)
{
	struct intake *in = c->door->intake;
	struct pq_room room = { .octets = place_room(in->place, in->loop->now) };

	return port_send(&c->port, PQ_ROOM, 0, &room, BYTES_NONE, NULL, why);
}

static enum result
on_message(struct port *p, struct wire_message *m, struct why *why)
{
	struct client *c = container_of(p, struct client, port);
	struct transaction *t;

	switch (m->type) {
	case PQ_OPEN:
		return on_open(c, m, why);
	case PQ_MORE:
		return on_more(c, m, why);
	case PQ_COMMIT:
		return on_commit(c, m, why);
	case PQ_LOOK:
		return on_look(c, why);
	default: /* PQ_ABORT; what is being flushed will be a message all the same */
		t = find(c, m->ref);
		if (t != NULL && t->state != T_FLUSHING)
			drop(t);
		return OK;
	}
}

void
intake_committed(struct transaction *t, enum result r, const struct why *reason)
{
	struct client *c = t->client;
	struct pq_committed committed = { .spare = 0 };
	struct why why = WHY_NONE;
	uint64_t ref = t->ref;
	enum result sent = OK;

	memcpy(committed.id, t->id.text, sizeof committed.id);
	if (r == OK && c != NULL)
		sent = port_send(&c->port, PQ_COMMITTED, ref, &committed, BYTES_NONE, NULL, &why);
	else if (r != OK && c != NULL)
		sent = answer_failure(c, ref, r, reason, &why);
	else if (r != OK)
		log_why("not-accepted", r, reason);
	drop(t);
	if (sent != OK) {
		port_close(&c->port);
		ended(&c->port, sent, &why);
	}
}

/* ---- conversations ---- */

static void
ended(struct port *p, enum result r, struct why *why)
{
	struct client *c = container_of(p, struct client, port);
	struct intake *in = c->door->intake;
	bool vital = c->door == &in->doors[0];

	if (r != ABSENT)
		log_why("conversation-ended", r, why);
	for (unsigned i = 0; i < CLIENT_BUCKETS; i++)
		for (struct transaction *t = c->buckets[i], *next; t != NULL; t = next) {
			next = t->next_same;
			if (t->state == T_FLUSHING)
				take_out(t);
			else
				drop(t);
		}
	c->door = NULL;
	if (vital) {
		in->wants_end = true;
		in->loop->stop = true;
	}
}

static const struct port_events events = { on_message, ended };

static enum result
add_client(struct door *door, struct channel channel, struct why *why)
{
	struct client *c = door->clients;
	enum result r;

	while (c < door->clients + DOOR_CLIENTS_MAX && c->door != NULL)
		c++;
	if (c == door->clients + DOOR_CLIENTS_MAX)
		return why_set(why, EXHAUSTED, "%u conversations of this service are open already", DOOR_CLIENTS_MAX);
	memset(c, 0, sizeof *c);
	if ((r = port_open(&c->port, door->intake->loop, channel, &events, ANSWERS_WAITING_MAX, why)) == OK)
		c->door = door;
	return r;
}

static void
at_door(struct loop *loop, struct source *s, uint32_t ready)
{
	struct door *door = container_of(s, struct door, source);
	struct why why = WHY_NONE;
	struct channel channel;
	enum result r;

	(void)loop;
	(void)ready;
	r = door_take(s->fd, &policy_queue_protocol, &channel, &why);
	if (r == OK && (r = add_client(door, channel, &why)) != OK)
		channel_close(&channel);
	if (r != OK && r != AGAIN)
		log_why("not-let-in", r, &why);
}

enum result
intake_open(struct intake *in, struct loop *loop, int reports_fd, const int *door_fds, struct why *why)
{
	enum result r;

	in->loop = loop;
	in->orphans_due.due = look_at_orphans;
	for (unsigned i = 0; i < INTAKE_DOORS; i++) {
		in->doors[i].intake = in;
		if (i == 0)
			continue;
		in->doors[i].source = (struct source){ .fd = door_fds[i - 1], .ready = at_door };
		if ((r = loop_watch(loop, &in->doors[i].source, EPOLLIN, why)) != OK)
			return r;
	}
	return add_client(&in->doors[0], channel_of(reports_fd, &policy_queue_protocol, PQ_QUEUE, false), why);
}
