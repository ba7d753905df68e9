/* Local deliveries: a line of tasks for each user, and for some of the lines a process that takes them.
 * Trusts the user table for uid, gid and home; what local answers only for the tasks that it was given.
 * Never gives a task to two processes, never waits for one user because of another. */
#include "send/parking.h"
#include "send/send.h"
#include "send/slots.h"

#include "base/enhanced.h"
#include "sys/clock.h"
#include "sys/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N_CHAINS 1024
#define IDLE_MS 3000    /* a process without work ends after that */
#define STALL_MS 900000 /* one that answers nothing for so long is given up; after slow_ms it holds up nobody else */
#define TURN_MAX 500    /* deliveries before a line makes room for others that wait */
#define SHARE_LEAST 64  /* tasks that a line may always have */
#define ASK_AT_ONCE 64  /* messages that a line asks for at a time */
#define DROPPED_S 60    /* until messages are tried again whose line came to nothing */

struct line {
	struct line *chain; /* same hash */
	struct slot slot;   /* for its process */
	uint32_t uid, number;
	struct port port;
	struct timer timer; /* idle, or stalled */
	struct task *first, *last;
	struct task *given[SD_IN_FLIGHT];
	unsigned n_given, n_done;
	uint32_t n_tasks;      /* of messages in hand, given or not */
	struct parking parked; /* messages for which it was too long */
	uint32_t ref, n_asked; /* messages asked for again under that ref */
	struct bytes home;     /* in `row` */
	struct bytes key, row; /* by which lspawn finds the user; in `room` */
	uint8_t *room;
	struct send *send;
};

static struct line *chains[N_CHAINS];
static uint32_t last_number, last_ref;

static struct line *
find(uint32_t uid, struct bytes home)
{
	for (struct line *l = chains[uid % N_CHAINS]; l != NULL; l = l->chain)
		if (l->uid == uid && bytes_equal(l->home, home))
			return l;
	return NULL;
}

static bool
is_needed(const struct line *l)
{
	return l->first != NULL || l->n_given > 0 || l->parked.n > 0 || l->n_asked > 0 || l->slot.waits || l->slot.runs;
}

static void
forget(struct line *l)
{
	struct line **link = &chains[l->uid % N_CHAINS];

	if (is_needed(l))
		return;
	while (*link != l)
		link = &(*link)->chain;
	*link = l->chain;
	loop_cancel(&l->send->loop, &l->timer);
	free(l->parked.ring);
	free(l->room);
	free(l);
}

static void pump(struct line *l);
static void start_waiting(struct send *s);

static void
defer(struct line *l, struct task *t, const char *text)
{
	l->n_tasks--;
	task_defer(l->send, t, text);
}

/* ---- messages for which the line had no room ---- */

/* A line may have as many tasks as there is room left for others: however many hang, there is room for one more. */
static uint32_t
share(const struct send *s)
{
	uint32_t room = s->n_in_hand < s->in_hand_max ? s->in_hand_max - s->n_in_hand : 0;

	return room > SHARE_LEAST ? room : SHARE_LEAST;
}

static void
ask_for_parked(struct line *l)
{
	uint32_t room = share(l->send) / 2;

	if (l->n_asked > 0 || l->parked.n == 0 || l->n_tasks >= room)
		return;
	while (l->parked.n > 0 && l->n_asked < ASK_AT_ONCE && l->n_tasks + l->n_asked < room) {
		struct id id = parking_take(&l->parked);

		l->n_asked++;
		send_fetch(l->send, &id, l->ref);
	}
}

void
lines_answered(uint32_t ref)
{
	for (struct line *l = chains[ref % N_CHAINS]; l != NULL; l = l->chain)
		if (l->ref == ref && l->n_asked > 0) {
			if (--l->n_asked == 0)
				ask_for_parked(l);
			forget(l);
			return;
		}
}

/* no process can be had for this user: the schedule takes over */
static void
drop_parked(struct line *l)
{
	while (l->parked.n > 0) {
		struct id id = parking_take(&l->parked);

		(void)waiting_add(l->send, &id, clock_wall_s() + DROPPED_S);
	}
}

/* ---- its process ---- */

static struct task *
next_task(struct line *l)
{
	struct task *t = l->first;

	l->first = t->next;
	if (l->first == NULL)
		l->last = NULL;
	return t;
}

static void
fail_all(struct line *l, const char *text, bool also_waiting)
{
	for (unsigned i = 0; i < SD_IN_FLIGHT; i++) {
		struct task *t = l->given[i];

		l->given[i] = NULL;
		if (t != NULL)
			defer(l, t, text);
	}
	l->n_given = 0;
	while (also_waiting && l->first != NULL)
		defer(l, next_task(l), text);
	if (also_waiting)
		drop_parked(l);
}

static void
stop(struct line *l)
{
	if (!l->slot.runs)
		return;
	port_close(&l->port);
	slot_ended(&l->slot);
}

static enum result
answered(struct port *p, struct wire_message *m, struct why *why)
{
	struct line *l = container_of(p, struct line, port);
	const struct sd_result *r = m->body;
	struct task *t = m->ref < SD_IN_FLIGHT ? l->given[m->ref] : NULL;

	if (t == NULL || r->outcome > SD_PERMANENT || !enhanced_is_valid(r->enhanced))
		return why_set(why, MALFORMED, "local answered what was not asked");
	l->given[m->ref] = NULL;
	l->n_given--;
	l->n_done++;
	slot_reclaim(&l->slot);
	loop_cancel(&l->send->loop, &l->timer);
	l->n_tasks--;
	task_settle(l->send, t, (enum sd_outcome)r->outcome, r->enhanced, m->tail);
	pump(l);
	return OK;
}

static void
log_ended(const struct line *l, enum result r, const struct why *why)
{
	struct log_line line;

	log_begin(&line, SEVERITY_ERROR, "local-ended");
	log_bytes(&line, "user", bytes_first(l->row, bytes_find(l->row, '\0')));
	log_number(&line, "uid", l->uid);
	log_number(&line, "unanswered", l->n_given);
	log_text(&line, "why", r == ABSENT ? "it ended early" : why->text);
	log_end(&line);
}

/* After a process that did nothing another one is not tried at once. */
static void
give_up(struct line *l, const char *text, bool useless)
{
	struct send *s = l->send;

	fail_all(l, text, useless);
	if (l->first != NULL)
		slot_wait(&l->slot);
	else
		loop_cancel(&s->loop, &l->timer);
	ask_for_parked(l);
	forget(l);
	start_waiting(s);
}

static void
ended(struct port *p, enum result r, struct why *why)
{
	struct line *l = container_of(p, struct line, port);

	slot_ended(&l->slot);
	if (send_is_ending(l->send, &l->send->lspawn))
		return;
	if (l->n_given > 0 || r != ABSENT)
		log_ended(l, r, why);
	give_up(l, "the delivery process ended early: its log line says why", l->n_done == 0);
}

static const struct port_events local_events = { answered, ended };

static bool
start(struct line *l)
{
	struct send *s = l->send;
	struct why why = WHY_NONE;
	uint8_t room[4096];
	struct buf tail = BUF_OVER(room);
	int pair[2];
	enum result r;

	wire_put(&tail, l->key);
	wire_put(&tail, l->row);
	r = buf_result(&tail);
	if (r == OK && (r = channel_pair(pair, &why)) == OK) {
		l->number = ++last_number;
		r = port_open(&l->port, &s->loop, channel_of(pair[0], &send_local_protocol, SD_SEND, false),
		    &local_events, SD_IN_FLIGHT, &why);
		if (r == OK)
			r = port_send(&s->lspawn, SL_SPAWN, l->number, NULL, buf_bytes(&tail), &pair[1], &why);
		(void)close(pair[1]);
		if (r != OK)
			port_close(&l->port);
	}
	if (r != OK) {
		log_why("local-start", r, &why);
		return false;
	}
	loop_cancel(&s->loop, &l->timer);
	l->n_done = 0;
	slot_started(&l->slot);
	return true;
}

static void
start_waiting(struct send *s)
{
	struct slot *next, *idle;

	while ((next = slots_next(s->max_lines, &idle)) != NULL) {
		struct line *l = container_of(next, struct line, slot);

		if (idle != NULL) { /* one with nothing to do makes room */
			struct line *other = container_of(idle, struct line, slot);

			stop(other);
			forget(other);
		}
		if (start(l))
			pump(l);
		else {
			fail_all(l, "no delivery process could be started", true);
			forget(l);
		}
	}
}

static enum result
give(struct line *l, struct task *t, uint32_t slot, struct why *why)
{
	struct message *m = t->message;
	struct sd_deliver body = { .content_at = m->store.content_at, .content_len = m->store.content_len };
	uint8_t room[6144];
	struct buf tail = BUF_OVER(room);

	memcpy(body.id, m->id.text, sizeof body.id);
	body.flags = t->make_maildir ? SD_MAKE_MAILDIR : 0;
	task_put_reverse(t, &tail);
	wire_put(&tail, t->address);
	wire_put(&tail, t->maildir);
	wire_put(&tail, m->store.trace);
	if (buf_result(&tail) != OK)
		return why_set(why, EXHAUSTED, "the envelope is too large to be delivered");
	t->began_ms = l->send->loop.now;
	return port_send(&l->port, SD_DELIVER, slot, &body, buf_bytes(&tail), &m->fd, why);
}

static void
on_timer(struct loop *loop, struct timer *t)
{
	struct line *l = container_of(t, struct line, timer);
	struct why why = WHY_NONE;

	if (l->n_given > 0 && !l->slot.lent) {
		slot_lend(&l->slot);
		(void)loop_at(loop, &l->timer, loop->now + STALL_MS);
		start_waiting(l->send);
		return;
	}
	stop(l);
	if (l->n_given > 0)
		log_ended(l, why_set(&why, BROKEN, "no answer for %d seconds", STALL_MS / 1000), &why);
	give_up(l, "the delivery process does not answer", l->n_done == 0);
}

/* fills the free slots; false: the process is gone, ended() follows */
static bool
give_tasks(struct line *l)
{
	for (uint32_t slot = 0; slot < SD_IN_FLIGHT && l->first != NULL; slot++) {
		struct why why = WHY_NONE;
		struct task *t;
		enum result r;

		if (l->given[slot] != NULL)
			continue;
		t = next_task(l);
		r = t->message->held ? why_set(&why, REFUSED, "held by the administrator") : give(l, t, slot, &why);
		if (r == OK) {
			l->given[slot] = t;
			l->n_given++;
			continue;
		}
		defer(l, t, why.text);
		if (r == ABSENT)
			return false;
		slot--; /* it is still free */
	}
	return true;
}

/* gives the process as much as it may have */
static void
pump(struct line *l)
{
	bool yields = slots_are_waited_for() && l->n_done >= TURN_MAX;

	if (!yields && !give_tasks(l))
		return;
	ask_for_parked(l);
	if (l->n_given > 0 &&
	    (l->slot.idles || l->timer.slot == 0)) /* since the last answer, not since the last wish */
		(void)loop_at(&l->send->loop, &l->timer, l->send->loop.now + l->send->slow_ms);
	slot_set_idle(&l->slot, l->n_given == 0);
	if (l->n_given > 0)
		return;
	if (slots_are_waited_for() || l->first != NULL) {
		stop(l);
		give_up(l, "", false);
	} else
		(void)loop_at(&l->send->loop, &l->timer, l->send->loop.now + IDLE_MS);
}

/* The user's row as the table has it now: the one of an earlier table would not be found by lspawn any more. */
static bool
remember_row(struct line *l, const struct user *u)
{
	bool is_known = bytes_equal(l->key, u->key) && bytes_equal(l->row, u->row);
	uint8_t *room = is_known ? NULL : malloc(u->key.len + u->row.len);

	if (room == NULL)
		return is_known;
	memcpy(room, u->key.at, u->key.len);
	memcpy(room + u->key.len, u->row.at, u->row.len);
	free(l->room);
	l->room = room;
	l->key = bytes_of(room, u->key.len);
	l->row = bytes_of(room + u->key.len, u->row.len);
	l->home = bytes_of(l->row.at + (u->home.at - u->row.at), u->home.len);
	return true;
}

static struct line *
new_line(struct send *s, const struct user *u)
{
	struct line *l = calloc(1, sizeof *l);

	if (l == NULL || !remember_row(l, u)) {
		free(l);
		return NULL;
	}
	l->uid = u->uid;
	l->send = s;
	l->timer.due = on_timer;
	last_ref = (last_ref + 1) & 0xfffff; /* the highest bit of a ref is for next hops */
	l->ref = (last_ref + 1) * N_CHAINS +
	    u->uid % N_CHAINS; /* at least ASK_LINES; lines_answered finds it by its chain */
	l->chain = chains[u->uid % N_CHAINS];
	chains[u->uid % N_CHAINS] = l;
	return l;
}

enum lines_answer
lines_find(struct send *s, const struct user *u, const struct message *m, struct line **found)
{
	struct line *l = find(u->uid, u->home);

	if (l == NULL ? (l = new_line(s, u)) == NULL : !remember_row(l, u))
		return LINES_NO_MEMORY;
	*found = l;
	if (l->n_tasks < share(s))
		return LINES_TAKEN;
	return parking_put(&l->parked, &m->id) ? LINES_FULL : LINES_NO_MEMORY;
}

void
lines_add(struct line *l, struct task *t)
{
	struct send *s = l->send;

	t->next = NULL;
	if (l->last == NULL)
		l->first = t;
	else
		l->last->next = t;
	l->last = t;
	l->n_tasks++;
	if (l->slot.runs)
		pump(l);
	else
		slot_wait(&l->slot);
	start_waiting(s);
}

void
lines_refused(struct send *s, uint32_t ref, struct bytes text)
{
	char why[WHY_MAX + 1];

	for (size_t i = 0; i < N_CHAINS; i++)
		for (struct line *l = chains[i]; l != NULL; l = l->chain) {
			if (!l->slot.runs || l->number != ref)
				continue;
			(void)snprintf(why, sizeof why, "%.*s", (int)text.len, (const char *)text.at);
			stop(l);
			fail_all(l, why, true);
			forget(l);
			start_waiting(s);
			return;
		}
}
