/* Local deliveries: a line of tasks for each user and kind of work, and for some of the lines a process that takes them.
 * Trusts the user table for uid, gid and home; what a user's process answers only for the tasks that it was given.
 * Never gives a task to two processes, never waits for one user because of another. */
#include "send/lines.h"

#include "base/enhanced.h"
#include "sys/clock.h"
#include "sys/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IDLE_MS 3000    /* a process without work ends after that */
#define STALL_MS 900000 /* one that answers nothing for so long is given up; after slow_ms it holds up nobody else */
#define TURN_MAX 500    /* deliveries before a line makes room for others that wait */
#define SHARE_LEAST 64  /* tasks that a line may always have */
#define ASK_AT_ONCE 64  /* messages that a line asks for at a time */
#define DROPPED_S 60    /* until messages are tried again whose line came to nothing */

static uint32_t last_number;

static void pump(struct line *l);
static void start_waiting(struct send *s);

static const struct line_work *
work_of(const struct line *l)
{
	return &line_works[l->kind];
}

static struct port *
spawner_of(const struct line *l)
{
	return l->kind == LINE_PIPE ? &l->send->pspawn : &l->send->lspawn;
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
lines_answered(uint64_t ref)
{
	struct line *l = line_of_ref(ref);

	if (l == NULL)
		return;
	if (--l->n_asked == 0)
		ask_for_parked(l);
	line_forget(l);
}

/* One of its tasks was settled. */
static void
make_room(struct line *l)
{
	ask_for_parked(l);
	line_forget(l);
}

/* The user's line goes with its last task, unless it is this one, whose caller still needs it. */
static void
defer(struct line *l, struct task *t, const char *text)
{
	struct line *home = t->line;

	home->n_tasks--;
	task_defer(l->send, t, text);
	if (home != l)
		make_room(home);
}

void
lines_settle(struct send *s, struct task *t, enum sd_outcome outcome, const uint16_t enhanced[3], struct bytes text)
{
	struct line *home = t->line;

	home->n_tasks--;
	task_settle(s, t, outcome, enhanced, text);
	make_room(home);
}

void
lines_defer(struct send *s, struct task *t, const char *text)
{
	static const uint16_t here[3] = { 4, 3, 0 };

	lines_settle(s, t, SD_TEMPORARY, here, bytes_of_string(text));
}

struct bytes
lines_home(const struct task *t)
{
	return t->line->home;
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
	for (unsigned i = 0; i < LINE_IN_FLIGHT_MAX; i++) {
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
	struct task *t = m->ref < LINE_IN_FLIGHT_MAX ? l->given[m->ref] : NULL;
	enum result r = t == NULL ? REFUSED : work_of(l)->check(t, m, why);

	if (r == AGAIN)
		return OK; /* there is more to come */
	if (r != OK)
		return why_set(why, MALFORMED, "%s answered what was not asked", work_of(l)->process);
	l->given[m->ref] = NULL;
	l->n_given--;
	l->n_done++;
	slot_reclaim(&l->slot);
	loop_cancel(&l->send->loop, &l->timer);
	l->instructed = l->kind == LINE_LOCAL && (l->instructed || line_is_instructed(m));
	work_of(l)->conclude(l->send, t, m);
	pump(l);
	return OK;
}

static void
log_ended(const struct line *l, enum result r, const struct why *why)
{
	struct log_line line;

	log_begin(&line, SEVERITY_ERROR, "local-ended");
	log_bytes(&line, "user", bytes_first(l->row, bytes_find(l->row, '\0')));
	log_text(&line, "program", work_of(l)->process);
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
	line_forget(l);
	start_waiting(s);
}

static void
ended(struct port *p, enum result r, struct why *why)
{
	struct line *l = container_of(p, struct line, port);

	slot_ended(&l->slot);
	if (send_is_ending(l->send, spawner_of(l)))
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
	struct sl_spawn what = { work_of(l)->what };
	uint8_t room[4096];
	struct buf tail = BUF_OVER(room);
	int pair[2];
	enum result r;

	wire_put(&tail, l->key);
	wire_put(&tail, l->row);
	r = buf_result(&tail);
	if (r == OK && (r = channel_pair(pair, &why)) == OK) {
		l->number = ++last_number;
		r = port_open(&l->port, &s->loop, channel_of(pair[0], work_of(l)->protocol, WIRE_FIRST, false),
		    &local_events, LINE_IN_FLIGHT_MAX, &why);
		if (r == OK)
			r = port_send(spawner_of(l), SL_SPAWN, l->number, &what, buf_bytes(&tail), &pair[1], &why);
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
			line_forget(other);
		}
		if (start(l))
			pump(l);
		else {
			fail_all(l, "no delivery process could be started", true);
			line_forget(l);
		}
	}
}

/* A program may take its time; pipe itself ends it then. */
static uint64_t
stall_ms(const struct line *l)
{
	return STALL_MS + (l->kind == LINE_PIPE ? UINT64_C(1000) * l->send->program_limit_s : 0);
}

static void
on_timer(struct loop *loop, struct timer *t)
{
	struct line *l = container_of(t, struct line, timer);
	struct why why = WHY_NONE;

	if (l->n_given > 0 && !l->slot.lent) {
		slot_lend(&l->slot);
		(void)loop_at(loop, &l->timer, loop->now + stall_ms(l));
		start_waiting(l->send);
		return;
	}
	stop(l);
	if (l->n_given > 0)
		log_ended(l, why_set(&why, BROKEN, "no answer for %u seconds", (unsigned)(stall_ms(l) / 1000)), &why);
	give_up(l, "the delivery process does not answer", l->n_done == 0);
}

/* fills the free slots; false: the process is gone, ended() follows */
static bool
give_tasks(struct line *l)
{
	for (uint32_t slot = 0; slot < work_of(l)->in_flight && l->first != NULL; slot++) {
		struct why why = WHY_NONE;
		struct task *t;
		enum result r;

		if (l->given[slot] != NULL)
			continue;
		t = next_task(l);
		r = t->message->held ? why_set(&why, REFUSED, "held by the administrator")
				     : work_of(l)->give(t, &l->port, slot, &why);
		t->began_ms = t->began_ms == 0 ? l->send->loop.now : t->began_ms;
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

enum lines_answer
lines_find(struct send *s, const struct user *u, const struct message *m, struct line **found)
{
	struct line *l = line_find(u->uid, u->home, LINE_LOCAL);

	if (l == NULL && (l = line_new(s, u->uid, LINE_LOCAL, on_timer)) == NULL)
		return LINES_NO_MEMORY;
	if (!line_remember(l, u->key, u->row, (size_t)(u->home.at - u->row.at), u->home.len)) {
		line_forget(l);
		return LINES_NO_MEMORY;
	}
	*found = l;
	if (l->n_tasks < share(s))
		return LINES_TAKEN;
	return parking_put(&l->parked, &m->id) ? LINES_FULL : LINES_NO_MEMORY;
}

static void
append(struct line *l, struct task *t)
{
	t->next = NULL;
	if (l->last == NULL)
		l->first = t;
	else
		l->last->next = t;
	l->last = t;
	if (l->slot.runs)
		pump(l);
	else
		slot_wait(&l->slot);
	start_waiting(l->send);
}

/* That of the same user for another kind of work. */
static struct line *
line_beside(struct line *home, enum line_kind kind)
{
	struct line *l = kind == LINE_LOCAL ? home : line_find(home->uid, home->home, kind);

	if (l == NULL && (l = line_new(home->send, home->uid, kind, on_timer)) == NULL)
		return NULL;
	if (l == home || line_remember(l, home->key, home->row, (size_t)(home->home.at - home->row.at), home->home.len))
		return l;
	line_forget(l);
	return NULL;
}

void
lines_pass(struct send *s, struct task *t, enum line_kind kind)
{
	struct line *l = line_beside(t->line, kind);

	if (l == NULL)
		lines_defer(s, t, "no memory for its instructions");
	else
		append(l, t);
}

/* Where the home had a .qmail a moment ago, instruct is asked at once; else local looks first. */
void
lines_add(struct line *l, struct task *t)
{
	t->line = l;
	l->n_tasks++;
	t->look_first = t->may_instruct && !l->instructed;
	if (t->may_instruct && !t->look_first)
		lines_pass(l->send, t, LINE_INSTRUCT);
	else
		append(l, t);
}

void
lines_uninstructed(const struct task *t)
{
	t->line->instructed = false;
}

void
lines_refused(struct send *s, uint64_t ref, struct bytes text)
{
	struct line *l = line_of_number(ref);
	char why[WHY_MAX + 1];

	if (l == NULL)
		return;
	(void)snprintf(why, sizeof why, "%.*s", (int)text.len, (const char *)text.at);
	stop(l);
	fail_all(l, why, true);
	line_forget(l);
	start_waiting(s);
}
