/* The way of one message: taken in hand, decoded, its recipients begun, its end.
 * Trusts queue for the file, which is decoded with all checks.
 * Never says QS_DONE before each recipient has a final result and every report that is due is in the queue. */
#include "send/send.h"

#include "mail/report.h"
#include "sys/clock.h"
#include "sys/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TASK_WEIGHT 256  /* octets of a recipient begun, about */
#define UNREADABLE_S 300 /* until a message is asked for again that could not be read */
#define SOON_S 10        /* after an attempt that took longer than the time to the next */
#define FAR_S 100000000  /* a due time further off is none */

/* ---- in hand ---- */

static struct message **
chain_of(struct send *s, const struct id *id)
{
	return &s->in_hand[id_number(id) % IN_HAND_CHAINS];
}

struct message *
message_find(struct send *s, const struct id *id)
{
	for (struct message *m = *chain_of(s, id); m != NULL; m = m->next)
		if (strcmp(m->id.text, id->text) == 0)
			return m;
	return NULL;
}

struct message *
message_of_report(struct send *s, uint64_t ref)
{
	for (struct message *m = s->in_hand[ref % IN_HAND_CHAINS]; m != NULL && ref != 0; m = m->next)
		if (m->report_ref == ref)
			return m;
	return NULL;
}

bool
message_is_report(const struct message *m)
{
	return m->store.reverse.len == 0 || (m->store.flags & (STORE_BOUNCE | STORE_DOUBLE_BOUNCE)) != 0;
}

static struct message *
new_message(struct send *s, const struct id *id, int fd, bool fetched)
{
	struct message *m = calloc(1, sizeof *m), **chain = chain_of(s, id);

	if (m == NULL)
		return NULL;
	m->id = *id;
	m->fd = fd;
	m->fetched = fetched;
	m->next = *chain;
	if (m->next != NULL)
		m->next->previous = m;
	*chain = m;
	s->n_in_hand++;
	s->n_fetched += fetched;
	return m;
}

/* Out of hand, its descriptor closed: only then may queue hear that it is done, and use the file again. */
static void
drop(struct send *s, struct message *m)
{
	tasks_free(m);
	store_message_free(&m->store);
	(void)close(m->fd);
	if (m->previous != NULL)
		m->previous->next = m->next;
	else
		*chain_of(s, &m->id) = m->next;
	if (m->next != NULL)
		m->next->previous = m->previous;
	s->n_in_hand--;
	s->n_fetched -= m->fetched;
	s->weight -= m->weight;
	free(m);
	send_credit(s);
	waiting_go_on(s);
}

static void
put_to_wait(struct send *s, struct message *m, uint64_t due_s)
{
	struct id id = m->id;

	drop(s, m);
	(void)waiting_add(s, &id, due_s);
}

/* ---- the end of an attempt ---- */

static void
log_done(const struct message *m)
{
	struct log_line l;

	log_begin(&l, SEVERITY_INFO, "done");
	log_text(&l, "msg", m->id.text);
	log_number(&l, "recipients", m->store.n_recipients);
	log_end(&l);
}

static void
be_done(struct send *s, struct message *m)
{
	struct id id = m->id;
	struct qs_name name = { .spare = 0 };

	log_done(m);
	drop(s, m);
	tell_queue(s, QS_DONE, &id, &name, BYTES_NONE);
}

uint32_t
message_deferred(const struct message *m, enum channel_kind *kind)
{
	uint32_t n = 0;

	*kind = KIND_REMOTE;
	for (uint32_t i = 0; i < m->n_tasks; i++) {
		if (m->tasks[i]->outcome != SD_TEMPORARY)
			continue;
		n++;
		if (m->tasks[i]->kind == KIND_LOCAL)
			*kind = KIND_LOCAL;
	}
	if (n == 0)
		*kind = KIND_LOCAL;
	return n;
}

/* reckoned from when this attempt began; but not in the past, however long it took */
static uint64_t
next_attempt(const struct send *s, const struct message *m, enum channel_kind kind)
{
	uint64_t birth_s = m->store.received_us / 1000000, now_s = clock_wall_s();
	uint64_t due_s = schedule_next(birth_s, m->now_s, kind),
		 held_s = schedule_in_doubt(birth_s, now_s, s->lifetime_s);

	if (m->not_before_s != UINT64_MAX && due_s < m->not_before_s && !m->unfinished)
		due_s = m->not_before_s;
	if (m->in_doubt && m->store.attempts > 0 && due_s < held_s)
		due_s = held_s;
	return due_s > now_s ? due_s : now_s + SOON_S;
}

static void
finish(struct send *s, struct message *m)
{
	enum channel_kind kind;
	bool waits = message_deferred(m, &kind) > 0 || m->unfinished || m->put_off || m->report_failed;
	struct qs_later later = { .attempts = m->store.attempts + 1 };

	waits = waits || (m->held && !m->reported && findings_walk(m, false, NULL, NULL) > 0);
	if (!waits)
		be_done(s, m);
	else if (m->again)
		put_to_wait(s, m, 0);
	else if (m->held || (m->put_off && !m->report_failed))
		drop(s, m); /* queue announces it again, or the line asks for it */
	else {
		later.due_at = next_attempt(s, m, kind);
		tell_queue(s, QS_LATER, &m->id, &later, BYTES_NONE);
		put_to_wait(s, m, later.due_at);
	}
}

static void
conclude(struct send *s, struct message *m)
{
	if (m->held || !bounce_begin(s, m))
		finish(s, m); /* else message_reported() goes on */
}

void
message_settled(struct send *s, struct message *m)
{
	if (--m->n_open == 0)
		conclude(s, m);
}

struct recorder {
	struct send *s;
	struct message *m;
};

static void
record_reported(void *context, uint32_t recipient, const struct report_recipient *who)
{
	struct recorder *r = context;
	struct qs_status body = { .recipient = recipient, .status = STORE_REPORTED };

	if (who->action != REPORT_DELAYED) /* that recipient still waits */
		tell_queue(r->s, QS_STATUS, &r->m->id, &body, BYTES_NONE);
}

void
message_reported(struct send *s, struct message *m, enum result r)
{
	struct recorder recorder = { s, m };
	enum channel_kind kind;

	m->report_failed = r != OK;
	m->reported = r == OK;
	if (r == OK && (message_deferred(m, &kind) > 0 || m->unfinished || m->put_off))
		(void)findings_walk(m, false, record_reported, &recorder);
	finish(s, m);
}

/* ---- its beginning ---- */

static void
list_put(struct messages *list, struct message *m)
{
	m->unbegun = NULL;
	if (list->last == NULL)
		list->first = m;
	else
		list->last->unbegun = m;
	list->last = m;
}

static bool
queue_is_busy(const struct send *s)
{
	return s->queue.n_waiting > NEIGHBOUR_BUSY;
}

/* Begins some of the message's recipients; true if there are more. n_open holds one for this walk. */
static bool
begin_some(struct send *s, struct message *m)
{
	struct store_recipient r;
	enum store_status status;
	uint32_t i;

	for (unsigned n = 0; n < RECIPIENTS_A_TURN;) {
		if (m->held) {
			m->unfinished = true;
			return false;
		}
		if (!store_walk_next(&m->walk, &r, &i, &status))
			return false;
		if (status != STORE_WAITING)
			continue;
		route_begin(s, m, i, &r);
		n++;
	}
	return m->walk.i < m->walk.n;
}

static void
all_begun(struct send *s, struct message *m)
{
	transactions_release(m);
	message_settled(s, m);
}

static void
begin(struct send *s, struct message *m)
{
	m->walk = store_walk_of(&m->store);
	m->n_open = 1;
	if (queue_is_busy(s) || begin_some(s, m))
		list_put(&s->unbegun, m);
	else
		all_begun(s, m);
}

void
messages_go_on(struct send *s)
{
	struct message *m = s->unbegun.first;

	if (m == NULL || queue_is_busy(s))
		return; /* queue's next reading wakes us */
	s->unbegun.first = m->unbegun;
	if (s->unbegun.first == NULL)
		s->unbegun.last = NULL;
	if (begin_some(s, m))
		list_put(&s->unbegun, m);
	else
		all_begun(s, m);
	s->loop.hurry = s->unbegun.first != NULL;
}

static bool
is_due(const struct message *m, uint64_t ref)
{
	uint64_t due_s = m->store.due_at;

	if (ref == ASK_NOW || ref == ASK_RETURN || ref >= ASK_LINES)
		return true;
	return due_s <= m->now_s || due_s - m->now_s > FAR_S;
}

static enum result
read_message(struct send *s, struct message *m, struct why *why)
{
	enum result r = store_read(m->fd, &m->store, why);

	if (r != OK)
		return r;
	m->tasks = calloc(m->store.n_recipients, sizeof(struct task *));
	if (m->tasks == NULL)
		return why_set(why, EXHAUSTED, "no memory for %u recipients", m->store.n_recipients);
	m->weight = sizeof *m + (size_t)m->store.content_at + (size_t)m->store.n_recipients * TASK_WEIGHT;
	s->weight += m->weight;
	return OK;
}

static void
log_unreadable(const struct message *m, enum result r, const struct why *why)
{
	struct log_line l;

	log_begin(&l, result_meaning(r)->severity, "message-unreadable");
	log_text(&l, "msg", m->id.text);
	log_text(&l, "result", result_meaning(r)->name);
	log_text(&l, "why", why->text);
	log_end(&l);
}

void
message_take(struct send *s, const struct id *id, int fd, uint64_t ref)
{
	struct why why = WHY_NONE;
	struct message *m = message_find(s, id);
	enum result r;

	if (m != NULL) {
		m->again |= m->held ||
		    ref >= ASK_LINES; /* released, or a line has room, before this attempt has ended */
		(void)close(fd);
		return;
	}
	if ((m = new_message(s, id, fd, ref != ASK_NOT)) == NULL) {
		(void)close(fd);
		(void)waiting_add(s, id, clock_wall_s() + UNREADABLE_S);
		return;
	}
	m->now_s = clock_wall_s();
	if ((r = read_message(s, m, &why)) != OK) {
		/* when it is asked for again, queue looks at it and sets it aside if it is damaged */
		log_unreadable(m, r, &why);
		put_to_wait(s, m, m->now_s + UNREADABLE_S);
		return;
	}
	m->give_up = ref == ASK_RETURN;
	m->urgent = ref == ASK_NOW;
	m->not_before_s = UINT64_MAX;
	m->last_try = m->now_s > m->store.received_us / 1000000 + s->lifetime_s;
	if (!is_due(m, ref))
		put_to_wait(s, m, m->store.due_at);
	else if (s->weight > WEIGHT_MAX && s->n_in_hand > 1 && ref != ASK_RETURN)
		put_to_wait(s, m, 0);
	else
		begin(s, m);
}

/* ---- an administrator's wishes ---- */

void
message_forget(struct send *s, const struct id *id)
{
	struct message *m = message_find(s, id);

	waiting_remove(id);
	if (m == NULL)
		return;
	m->held = true;
	m->again = false;
}

void
message_return(struct send *s, const struct id *id)
{
	struct message *m = message_find(s, id);

	if (m != NULL)
		m->give_up = true;
	else
		waiting_ask(s, id, ASK_RETURN);
}
