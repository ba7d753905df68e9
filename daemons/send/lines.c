/* Local deliveries: a line of tasks for each user, and for some of the lines a process that takes them.
 * Trusts the user table for uid, gid and home; what local answers only for the tasks that it was given.
 * Never gives a task to two processes, never waits for one user because of another. */
#include "send/send.h"

#include "sys/clock.h"
#include "sys/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N_CHAINS 1024
#define IDLE_MS 3000 /* a process without work ends after that */
#define TURN_MAX 500 /* deliveries before a line makes room for others that wait */

struct line {
	struct line *chain;        /* same hash */
	struct line *next_waiting; /* lines that wait for a process */
	uint32_t uid, gid, number;
	struct port port;
	struct timer idle;
	struct task *first, *last;
	struct task *given[SD_IN_FLIGHT];
	unsigned n_given, n_done;
	bool runs, waits;
	size_t name_len, home_len;
	char *home;
	char name[64];
	struct send *send;
};

static struct line *chains[N_CHAINS];
static struct line *waiting_first, *waiting_last;
static uint32_t n_running, last_number;

static struct line *
find(uint32_t uid, struct bytes home)
{
	for (struct line *l = chains[uid % N_CHAINS]; l != NULL; l = l->chain)
		if (l->uid == uid && bytes_equal(bytes_of(l->home, l->home_len), home))
			return l;
	return NULL;
}

static void
forget(struct line *l)
{
	struct line **link = &chains[l->uid % N_CHAINS];

	while (*link != l)
		link = &(*link)->chain;
	*link = l->chain;
	loop_cancel(&l->send->loop, &l->idle);
	free(l->home);
	free(l);
}

static void pump(struct line *l);
static void start_waiting(struct send *s);
static void went_idle(struct loop *loop, struct timer *t);

static void
settle(struct line *l, struct task *t, enum sd_outcome outcome, const char *text)
{
	static const uint8_t temporary[3] = { 4, 3, 0 };

	message_settle(l->send, t, outcome, temporary, bytes_of_string(text));
}

static void
fail_all(struct line *l, const char *text, bool also_waiting)
{
	for (unsigned i = 0; i < SD_IN_FLIGHT; i++) {
		struct task *t = l->given[i];

		l->given[i] = NULL;
		if (t != NULL)
			settle(l, t, SD_TEMPORARY, text);
	}
	l->n_given = 0;
	while (also_waiting && l->first != NULL) {
		struct task *t = l->first;

		l->first = t->next;
		if (l->first == NULL)
			l->last = NULL;
		settle(l, t, SD_TEMPORARY, text);
	}
}

static void
stop(struct line *l)
{
	if (!l->runs)
		return;
	port_close(&l->port);
	l->runs = false;
	n_running--;
}

static void
wait_for_turn(struct line *l)
{
	if (l->waits)
		return;
	l->waits = true;
	l->next_waiting = NULL;
	if (waiting_last == NULL)
		waiting_first = l;
	else
		waiting_last->next_waiting = l;
	waiting_last = l;
}

static enum result
answered(struct port *p, struct wire_message *m, struct why *why)
{
	struct line *l = container_of(p, struct line, port);
	const struct sd_result *r = m->body;
	struct task *t = m->ref < SD_IN_FLIGHT ? l->given[m->ref] : NULL;

	if (t == NULL || r->outcome > SD_PERMANENT)
		return why_set(why, MALFORMED, "local answered what was not asked");
	l->given[m->ref] = NULL;
	l->n_given--;
	l->n_done++;
	message_settle(l->send, t, (enum sd_outcome)r->outcome, r->enhanced, m->tail);
	pump(l);
	return OK;
}

static void
ended(struct port *p, enum result r, struct why *why)
{
	struct line *l = container_of(p, struct line, port);
	struct send *s = l->send;
	bool useless = l->n_done == 0;

	l->runs = false;
	n_running--;
	if (l->n_given > 0 || r != ABSENT)
		log_why("local-ended", r == ABSENT ? BROKEN : r, why);
	fail_all(l, "the delivery process ended early: its log line says why", useless);
	if (l->first != NULL)
		wait_for_turn(l);
	else if (!l->waits)
		forget(l);
	start_waiting(s);
}

static const struct port_events local_events = { answered, ended };

static bool
start(struct line *l)
{
	struct send *s = l->send;
	struct sl_spawn who = { l->uid, l->gid };
	struct why why = WHY_NONE;
	uint8_t room[4096];
	struct buf tail = BUF_OVER(room);
	int pair[2];
	enum result r;

	wire_put(&tail, bytes_of(l->name, l->name_len));
	wire_put(&tail, bytes_of(l->home, l->home_len));
	r = buf_result(&tail);
	if (r == OK && (r = channel_pair(pair, &why)) == OK) {
		l->number = ++last_number;
		r = port_open(&l->port, &s->loop, channel_of(pair[0], &send_local_protocol, SD_SEND, false),
		    &local_events, SD_IN_FLIGHT, &why);
		if (r == OK)
			r = port_send(&s->lspawn, SL_SPAWN, l->number, &who, buf_bytes(&tail), &pair[1], &why);
		(void)close(pair[1]);
		if (r != OK)
			port_close(&l->port);
	}
	if (r != OK) {
		log_why("local-start", r, &why);
		return false;
	}
	l->runs = true;
	l->n_done = 0;
	n_running++;
	return true;
}

static void
start_waiting(struct send *s)
{
	while (waiting_first != NULL && n_running < s->max_lines) {
		struct line *l = waiting_first;

		waiting_first = l->next_waiting;
		if (waiting_first == NULL)
			waiting_last = NULL;
		l->waits = false;
		if (!start(l)) {
			fail_all(l, "no delivery process could be started", true);
			forget(l);
		} else
			pump(l);
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
	body.flags = t->virtual_user ? SD_MAKE_MAILDIR : 0;
	wire_put(&tail, m->store.reverse);
	wire_put(&tail, t->address);
	wire_put(&tail, t->maildir);
	wire_put(&tail, m->store.trace);
	if (buf_result(&tail) != OK)
		return why_set(why, EXHAUSTED, "the envelope is too large to be delivered");
	t->began_ms = l->send->loop.now;
	return port_send(&l->port, SD_DELIVER, slot, &body, buf_bytes(&tail), &m->fd, why);
}

static struct task *
next_task(struct line *l)
{
	struct task *t = l->first;

	l->first = t->next;
	if (l->first == NULL)
		l->last = NULL;
	return t;
}

/* gives the process as much as it may have */
static void
pump(struct line *l)
{
	struct why why = WHY_NONE;
	bool yields = waiting_first != NULL && l->n_done >= TURN_MAX;

	for (uint32_t slot = 0; slot < SD_IN_FLIGHT && l->first != NULL && !yields; slot++) {
		struct task *t;
		enum result r;

		if (l->given[slot] != NULL)
			continue;
		t = next_task(l);
		r = give(l, t, slot, &why);
		if (r == OK) {
			l->given[slot] = t;
			l->n_given++;
			continue;
		}
		settle(l, t, SD_TEMPORARY, why.text);
		if (r == ABSENT)
			return; /* ended() follows */
	}
	if (l->n_given > 0)
		loop_cancel(&l->send->loop, &l->idle);
	else if (yields || waiting_first != NULL)
		went_idle(&l->send->loop, &l->idle);
	else
		(void)loop_at(&l->send->loop, &l->idle, l->send->loop.now + IDLE_MS);
}

static void
went_idle(struct loop *loop, struct timer *t)
{
	struct line *l = container_of(t, struct line, idle);
	struct send *s = l->send;

	(void)loop;
	stop(l);
	if (l->first != NULL)
		wait_for_turn(l);
	else
		forget(l);
	start_waiting(s);
}

static struct line *
new_line(struct send *s, uint32_t uid, uint32_t gid, struct bytes name, struct bytes home)
{
	struct line *l = calloc(1, sizeof *l);

	if (l == NULL)
		return NULL;
	l->home = malloc(home.len + 1);
	if (l->home == NULL) {
		free(l);
		return NULL;
	}
	memcpy(l->home, home.at, home.len);
	l->home_len = home.len;
	l->name_len = name.len < sizeof l->name ? name.len : sizeof l->name;
	memcpy(l->name, name.at, l->name_len);
	l->uid = uid;
	l->gid = gid;
	l->send = s;
	l->idle.due = went_idle;
	l->chain = chains[uid % N_CHAINS];
	chains[uid % N_CHAINS] = l;
	return l;
}

bool
lines_add(struct send *s, uint32_t uid, uint32_t gid, struct bytes name, struct bytes home, struct task *t)
{
	struct line *l = find(uid, home);

	if (l == NULL && (l = new_line(s, uid, gid, name, home)) == NULL)
		return false;
	t->next = NULL;
	if (l->last == NULL)
		l->first = t;
	else
		l->last->next = t;
	l->last = t;
	if (l->runs)
		pump(l);
	else
		wait_for_turn(l);
	start_waiting(s);
	return true;
}

void
lines_refused(struct send *s, uint32_t ref, struct bytes text)
{
	char why[TEXT_MAX];

	(void)s;
	for (size_t i = 0; i < N_CHAINS; i++)
		for (struct line *l = chains[i]; l != NULL; l = l->chain)
			if (l->runs && l->number == ref) {
				size_t n = text.len < sizeof why - 1 ? text.len : sizeof why - 1;

				memcpy(why, text.at, n);
				why[n] = '\0';
				stop(l);
				fail_all(l, why, true);
				forget(l);
				start_waiting(s);
				return;
			}
}
