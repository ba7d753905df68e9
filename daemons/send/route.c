/* Where a recipient's mail goes: to a user of this host, to another host, or nowhere.
 * Trusts the tables of its configuration; an address not at all.
 * Never takes a table that can't be read for a recipient who is not there. */
#include "send/send.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct bytes
put(struct buf *room, struct bytes field)
{
	size_t at = room->len;

	buf_add(room, field);
	return bytes_of(room->at + at, field.len);
}

/* Null: no memory; then the recipient waits for the next attempt. */
static struct task *
new_task(struct message *m, uint32_t recipient, struct bytes said, struct bytes address, const struct user *u)
{
	const struct bytes fields[] = { address, u != NULL ? u->maildir : BYTES_NONE, u != NULL ? u->name : BYTES_NONE,
		u != NULL ? u->dash : BYTES_NONE, u != NULL ? u->extension : BYTES_NONE };
	struct task *t;
	struct buf room;
	size_t size = 0;

	for (size_t i = 0; i < nitems(fields); i++)
		size += fields[i].len;
	t = calloc(1, sizeof *t + size);
	if (t == NULL) {
		m->unfinished = true;
		return NULL;
	}
	room = buf_over(t->room, size);
	t->message = m;
	t->recipient = recipient;
	t->said = said;
	t->address = put(&room, fields[0]);
	t->maildir = put(&room, fields[1]);
	t->user = put(&room, fields[2]);
	t->dash = put(&room, fields[3]);
	t->extension = put(&room, fields[4]);
	m->tasks[m->n_tasks++] = t;
	m->n_open++;
	return t;
}

static void
begin_local(struct send *s, struct message *m, uint32_t i, const struct store_recipient *r, const struct destination *d)
{
	struct line *line = NULL;
	enum lines_answer answer = lines_find(s, &d->user, m, &line);
	struct task *t;

	m->put_off |= answer == LINES_FULL;
	m->unfinished |= answer == LINES_NO_MEMORY;
	if (answer != LINES_TAKEN || (t = new_task(m, i, r->forward, d->address, &d->user)) == NULL)
		return;
	t->make_maildir = d->user.is_virtual || s->make_maildirs;
	t->notify = r->notify;
	t->may_instruct = s->dotqmail && !d->user.is_virtual;
	lines_add(line, t);
}

/* What is said to the other host: the address as it came, unless our tables made another of it. */
static struct bytes
remote_address(struct bytes forward, const struct destination *d)
{
	struct bytes domain = bytes_skip(forward, bytes_find_last(forward, '@') + 1);

	return forward.len > domain.len && bytes_equal_nocase(domain, d->domain) ? forward : d->address;
}

static void
begin_remote(
    struct send *s, struct message *m, uint32_t i, const struct store_recipient *r, const struct destination *d)
{
	static const uint16_t no_route[3] = { 4, 4, 4 }, no_domain[3] = { 5, 1, 2 };
	struct next_hop *hop = NULL;
	struct why why = WHY_NONE;
	enum lines_answer answer = hop_find(s, m, d->domain, &hop, &why);
	struct task *t;

	m->put_off |= answer == LINES_FULL;
	m->unfinished |= answer == LINES_NO_MEMORY;
	if (answer == LINES_FULL || answer == LINES_NO_MEMORY ||
	    (t = new_task(m, i, r->forward, remote_address(r->forward, d), NULL)) == NULL)
		return;
	t->kind = KIND_REMOTE;
	t->orcpt = r->orcpt;
	t->notify = r->notify;
	if (answer == LINES_TAKEN)
		transaction_add(hop, t);
	else
		task_settle(s, t, answer == LINES_NOWHERE ? SD_PERMANENT : SD_TEMPORARY,
		    answer == LINES_NOWHERE ? no_domain : no_route, bytes_of_string(why.text));
}

static void
begin_nowhere(struct send *s, struct message *m, uint32_t i, struct bytes forward, enum sd_outcome outcome,
    const uint16_t enhanced[3], const char *text)
{
	struct task *t = new_task(m, i, forward, forward, NULL);

	if (t != NULL)
		task_settle(s, t, outcome, enhanced, bytes_of_string(text));
}

/* Somebody as whom lspawn would start nothing. */
static void
begin_refused(struct send *s, struct message *m, uint32_t i, struct bytes forward, const struct user *u)
{
	static const uint16_t disabled[3] = { 4, 2, 1 };
	char text[WHY_MAX];

	(void)snprintf(text, sizeof text, "%s: user %.*s, uid %u, gid %u, home %.*s", user_refusal_text(u->refusal),
	    (int)u->name.len, (const char *)u->name.at, u->uid, u->gid, (int)u->home.len, (const char *)u->home.at);
	begin_nowhere(s, m, i, forward, SD_TEMPORARY, disabled, text);
}

void
route_begin(struct send *s, struct message *m, uint32_t i, const struct store_recipient *recipient)
{
	static const uint16_t no_user[3] = { 5, 1, 1 }, no_table[3] = { 4, 3, 0 }, returned[3] = { 5, 0, 0 };
	struct bytes forward = recipient->forward;
	struct destination d;
	enum result r;

	if (m->give_up) {
		begin_nowhere(s, m, i, forward, SD_PERMANENT, returned, "returned by the administrator of this host");
		return;
	}
	r = users_route(s->control, forward, &d);
	if (r == OK && d.route == ROUTE_LOCAL)
		begin_local(s, m, i, recipient, &d);
	else if (r == OK)
		begin_remote(s, m, i, recipient, &d);
	else if (r == REFUSED)
		begin_refused(s, m, i, forward, &d.user);
	else if (r == ABSENT)
		begin_nowhere(s, m, i, forward, SD_PERMANENT, no_user, "there is no mailbox here by that name");
	else
		begin_nowhere(s, m, i, forward, SD_TEMPORARY, no_table, "a table of this host can't be read");
}
