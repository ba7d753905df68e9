/* The way of one message: decoded, its recipients routed, their results recorded, its end.
 * Trusts queue for the file, which is decoded with all checks; the tables for routes.
 * Never says QS_DONE before each recipient has a final result and every report that is due is in the queue. */
#include "send/send.h"

#include "control/users.h"
#include "sys/clock.h"
#include "sys/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void conclude(struct send *s, struct message *m);

static void
name_of(const struct message *m, struct qs_name *name)
{
	*name = (struct qs_name){ 0 };
	memcpy(name->id, m->id.text, sizeof name->id);
}

static void
tell_queue(struct send *s, uint16_t type, const void *body, struct bytes tail)
{
	struct why why = WHY_NONE;
	enum result r = port_send(&s->queue, type, 0, body, tail, NULL, &why);

	if (r == OK || r == ABSENT) /* ABSENT: its end is noticed where it ends */
		return;
	log_why("queue", r, &why);
	s->end = r;
	s->loop.stop = true; /* results could be lost in memory; on disk the message still waits */
}

void
send_credit(struct send *s)
{
	uint32_t used = s->n_in_hand + s->credit_given;
	struct qs_credit credit = { used < IN_HAND_MAX ? IN_HAND_MAX - used : 0 };

	if (credit.n < IN_HAND_MAX / 8)
		return;
	s->credit_given += credit.n;
	tell_queue(s, QS_CREDIT, &credit, BYTES_NONE);
}

static struct message **
chain_of(struct send *s, const struct id *id)
{
	return &s->in_hand[id_number(id) % IN_HAND_CHAINS];
}

static void
drop(struct send *s, struct message *m)
{
	for (uint32_t i = 0; i < m->n_tasks; i++) {
		free(m->tasks[i]->text);
		free(m->tasks[i]);
	}
	free(m->tasks);
	store_message_free(&m->store);
	(void)close(m->fd);
	if (m->previous != NULL)
		m->previous->next = m->next;
	else
		*chain_of(s, &m->id) = m->next;
	if (m->next != NULL)
		m->next->previous = m->previous;
	free(m);
	s->n_in_hand--;
	send_credit(s);
}

static void
put_to_wait(struct send *s, struct message *m, uint64_t due_s)
{
	struct id id = m->id;

	if (!waiting_add(s, &id, due_s))
		log_simple(
		    SEVERITY_ERROR, "waiting", "why", "no memory: the message waits on disk until the next start");
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
message_of_report(struct send *s, uint32_t ref)
{
	for (struct message *m = s->in_hand[ref % IN_HAND_CHAINS]; m != NULL && ref != 0; m = m->next)
		if (m->report_ref == ref)
			return m;
	return NULL;
}

static void
log_delivery(const struct send *s, const struct task *t)
{
	static const char *const names[] = {
		[SD_DELIVERED] = "delivered", [SD_TEMPORARY] = "deferred", [SD_PERMANENT] = "failed"
	};
	const struct message *m = t->message;
	uint64_t received_s = m->store.received_us / 1000000;
	struct log_line l;
	char status[16];

	(void)snprintf(status, sizeof status, "%u.%u.%u", t->enhanced[0], t->enhanced[1], t->enhanced[2]);
	log_begin(&l, t->outcome == SD_DELIVERED ? SEVERITY_INFO : SEVERITY_WARNING, "delivery");
	log_text(&l, "msg", m->id.text);
	log_bytes(&l, "rcpt", t->address);
	log_text(&l, "result", names[t->outcome]);
	log_text(&l, "status", status);
	log_number(&l, "age_s", m->now_s > received_s ? m->now_s - received_s : 0);
	log_number(&l, "took_ms", t->began_ms > 0 ? s->loop.now - t->began_ms : 0);
	if (t->text != NULL)
		log_text(&l, "text", t->text);
	log_end(&l);
}

static void
record(struct send *s, const struct task *t, enum store_status status)
{
	struct qs_status body = { .recipient = t->recipient, .status = (uint8_t)status };
	uint8_t room[QS_NOTE_MAX];
	struct buf note = BUF_OVER(room);

	memcpy(body.id, t->message->id.text, sizeof body.id);
	if (t->text != NULL)
		buf_format(&note, "%u.%u.%u %.1500s", t->enhanced[0], t->enhanced[1], t->enhanced[2], t->text);
	tell_queue(s, QS_STATUS, &body, buf_bytes(&note));
}

static void
set_text(struct task *t, struct bytes text, const char *more)
{
	size_t size = text.len + strlen(more) + 1;

	free(t->text);
	t->text = malloc(size);
	if (t->text != NULL)
		(void)snprintf(t->text, size, "%.*s%s", (int)text.len, (const char *)text.at, more);
}

void
message_settle(struct send *s, struct task *t, enum sd_outcome outcome, const uint8_t enhanced[3], struct bytes text)
{
	struct message *m = t->message;
	bool too_old = outcome == SD_TEMPORARY && (m->last_try || m->give_up);

	t->settled = true;
	t->outcome = (uint8_t)(too_old ? SD_PERMANENT : outcome);
	memcpy(t->enhanced, enhanced, sizeof t->enhanced);
	if (outcome != SD_DELIVERED || text.len > 0)
		set_text(t, text,
		    !too_old         ? ""
			: m->give_up ? " (returned by the administrator)"
				     : " (this was the last try: it has been in the queue too long)");
	if (too_old) {
		t->enhanced[0] = 5;
		if (t->enhanced[1] == 3 || t->enhanced[1] == 0)
			t->enhanced[1] = 4, t->enhanced[2] = 7; /* delivery time expired */
	}
	log_delivery(s, t);
	/* a single recipient's delivery is recorded by the removal of the message */
	if (!m->forgotten && t->outcome == SD_PERMANENT)
		record(s, t, STORE_FAILED);
	else if (!m->forgotten && t->outcome == SD_DELIVERED && m->store.n_recipients > 1)
		record(s, t, STORE_DELIVERED);
	if (--m->n_open == 0)
		conclude(s, m);
}

static struct task *
new_task(struct message *m, uint32_t recipient, struct bytes address, struct bytes maildir)
{
	struct task *t = calloc(1, sizeof *t + address.len + maildir.len);

	if (t == NULL)
		return NULL;
	t->message = m;
	t->recipient = recipient;
	if (address.len > 0)
		memcpy(t->room, address.at, address.len);
	if (maildir.len > 0)
		memcpy(t->room + address.len, maildir.at, maildir.len);
	t->address = bytes_of(t->room, address.len);
	t->maildir = bytes_of(t->room + address.len, maildir.len);
	m->tasks[m->n_tasks++] = t;
	m->n_open++;
	return t;
}

static void
begin_local(struct send *s, struct task *t, const struct user *u)
{
	static const uint8_t temporary[3] = { 4, 3, 0 };

	t->virtual_user = u->is_virtual;
	if (!lines_add(s, u->uid, u->gid, u->name, u->home, t))
		message_settle(s, t, SD_TEMPORARY, temporary, BYTES("no memory for a delivery"));
}

static void
begin_recipient(struct send *s, struct message *m, uint32_t i, struct bytes forward)
{
	static const uint8_t no_user[3] = { 5, 1, 1 }, no_table[3] = { 4, 3, 0 }, no_route[3] = { 4, 4, 4 };
	struct destination d;
	enum result r = users_route(s->control, forward, &d);
	bool local = r == OK && d.route == ROUTE_LOCAL;
	struct task *t = new_task(m, i, local ? d.address : forward, local ? d.user.maildir : BYTES_NONE);

	if (t == NULL)
		return; /* no memory: it stays waiting, and is tried with the next attempt */
	if (local)
		begin_local(s, t, &d.user);
	else if (r == OK)
		message_settle(s, t, SD_TEMPORARY, no_route, BYTES("this host does not deliver to other hosts"));
	else if (r == ABSENT)
		message_settle(s, t, SD_PERMANENT, no_user, BYTES("there is no mailbox here by that name"));
	else
		message_settle(s, t, SD_TEMPORARY, no_table, BYTES("a table of this host can't be read"));
}

static void
begin(struct send *s, struct message *m)
{
	struct store_walk w = store_walk_of(&m->store);
	struct store_recipient r;
	enum store_status status;
	uint32_t i;

	m->n_open = 1; /* ours, so that nothing is concluded before all have begun */
	while (store_walk_next(&w, &r, &i, &status))
		if (status == STORE_WAITING)
			begin_recipient(s, m, i, r.forward);
	if (--m->n_open == 0)
		conclude(s, m);
}

static void
finish(struct send *s, struct message *m)
{
	uint32_t still = 0;
	struct qs_name name;
	struct qs_later later = { .attempts = m->store.attempts + 1 };

	for (uint32_t i = 0; i < m->n_tasks; i++)
		still += m->tasks[i]->outcome == SD_TEMPORARY;
	name_of(m, &name);
	if (m->forgotten) {
		drop(s, m);
		return;
	}
	if (still == 0 && m->report_ref == 0) {
		tell_queue(s, QS_DONE, &name, BYTES_NONE);
		drop(s, m);
		return;
	}
	memcpy(later.id, m->id.text, sizeof later.id);
	later.due_at = schedule_next(m->store.received_us / 1000000, clock_wall_s(), KIND_LOCAL);
	tell_queue(s, QS_LATER, &later, BYTES_NONE);
	put_to_wait(s, m, later.due_at);
	drop(s, m);
}

static void
conclude(struct send *s, struct message *m)
{
	if (!m->forgotten && bounce_begin(s, m))
		return; /* message_reported() goes on */
	finish(s, m);
}

/* Failed recipients of this attempt, and those whose report an earlier attempt could not make. */
static void
record_reported(struct send *s, struct message *m)
{
	struct store_walk w = store_walk_of(&m->store);
	struct store_recipient r;
	enum store_status status;
	uint32_t i;
	struct qs_status body = { .status = STORE_REPORTED };

	memcpy(body.id, m->id.text, sizeof body.id);
	for (uint32_t k = 0; k < m->n_tasks; k++)
		if (m->tasks[k]->outcome == SD_PERMANENT) {
			body.recipient = m->tasks[k]->recipient;
			tell_queue(s, QS_STATUS, &body, BYTES_NONE);
		}
	while (store_walk_next(&w, &r, &i, &status))
		if (status == STORE_FAILED) {
			body.recipient = i;
			tell_queue(s, QS_STATUS, &body, BYTES_NONE);
		}
}

void
message_reported(struct send *s, struct message *m, enum result r)
{
	bool waits = false;

	if (r == OK) {
		m->report_ref = 0;
		for (uint32_t i = 0; i < m->n_tasks; i++)
			waits |= m->tasks[i]->outcome == SD_TEMPORARY;
		if (waits && !m->forgotten)
			record_reported(s, m);
	}
	finish(s, m);
}

/* Messages that an administrator wants returned, until they have been fetched. */
static uint64_t to_return[64];

static bool
is_to_return(const struct id *id)
{
	for (size_t i = 0; i < nitems(to_return); i++)
		if (to_return[i] == id_number(id)) {
			to_return[i] = 0;
			return true;
		}
	return false;
}

void
message_return(struct send *s, const struct id *id)
{
	struct message *m = message_find(s, id);
	size_t i = 0;

	if (m != NULL) {
		m->give_up = true;
		return;
	}
	while (i < nitems(to_return) - 1 && to_return[i] != 0)
		i++;
	to_return[i] = id_number(id);
	waiting_retry(s, id);
}

static bool
has_open_recipients(const struct message *m)
{
	for (size_t i = 0; i < m->store.statuses.len; i++)
		if (m->store.statuses.at[i] == STORE_WAITING || m->store.statuses.at[i] == STORE_FAILED)
			return true;
	return false;
}

static struct message *
new_message(struct send *s, const struct id *id, int fd)
{
	struct message *m = calloc(1, sizeof *m), **chain = chain_of(s, id);

	if (m == NULL)
		return NULL;
	m->id = *id;
	m->fd = fd;
	m->next = *chain;
	if (m->next != NULL)
		m->next->previous = m;
	*chain = m;
	s->n_in_hand++;
	return m;
}

void
message_take(struct send *s, const struct id *id, int fd, bool asked_for)
{
	struct why why = WHY_NONE;
	struct message *m;
	struct qs_name name;
	enum result r;

	if (message_find(s, id) != NULL || (m = new_message(s, id, fd)) == NULL) {
		(void)close(fd); /* in hand already; or no memory, and the next start finds it */
		return;
	}
	r = store_read(fd, &m->store, &why);
	if (r == OK && (m->tasks = calloc(m->store.n_recipients, sizeof *m->tasks)) == NULL)
		r = why_set(&why, EXHAUSTED, "no memory for %u recipients", m->store.n_recipients);
	if (r != OK) {
		log_why("message-unreadable", r, &why);
		drop(s, m);
		return;
	}
	m->now_s = clock_wall_s();
	m->give_up = is_to_return(id);
	m->last_try = m->now_s > m->store.received_us / 1000000 + s->lifetime_s;
	if (!m->give_up && !asked_for && m->store.due_at > m->now_s &&
	    m->store.due_at - m->now_s < UINT64_C(100000000)) {
		put_to_wait(s, m, m->store.due_at);
		drop(s, m);
	} else if (has_open_recipients(m))
		begin(s, m);
	else {
		name_of(m, &name);
		tell_queue(s, QS_DONE, &name, BYTES_NONE);
		drop(s, m);
	}
}

void
message_forget(struct send *s, const struct id *id)
{
	struct message *m = message_find(s, id);

	waiting_remove(id);
	if (m != NULL)
		m->forgotten = true;
}
