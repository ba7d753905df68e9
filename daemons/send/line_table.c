/* The lines of users, found by uid, home and kind of work.
 * Trusts the user table for uid and home.
 * Never lets a line go that somebody still needs. */
#include "send/lines.h"

#include <stdlib.h>
#include <string.h>

#define N_CHAINS 1024

static struct line *chains[N_CHAINS];
static uint64_t last_ref;

struct line *
line_find(uint32_t uid, struct bytes home, enum line_kind kind)
{
	for (struct line *l = chains[uid % N_CHAINS]; l != NULL; l = l->chain)
		if (l->uid == uid && l->kind == kind && bytes_equal(l->home, home))
			return l;
	return NULL;
}

static bool
is_needed(const struct line *l)
{
	return l->first != NULL || l->n_given > 0 || l->n_tasks > 0 || l->parked.n > 0 || l->n_asked > 0 ||
	    l->slot.waits || l->slot.runs;
}

void
line_forget(struct line *l)
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

bool
line_remember(struct line *l, struct bytes key, struct bytes row, size_t home_at, size_t home_len)
{
	bool is_known = bytes_equal(l->key, key) && bytes_equal(l->row, row);
	uint8_t *room = is_known ? NULL : malloc(key.len + row.len);

	if (room == NULL)
		return is_known;
	memcpy(room, key.at, key.len);
	memcpy(room + key.len, row.at, row.len);
	free(l->room);
	l->room = room;
	l->key = bytes_of(room, key.len);
	l->row = bytes_of(room + key.len, row.len);
	l->home = bytes_of(l->row.at + home_at, home_len);
	return true;
}

struct line *
line_new(struct send *s, uint32_t uid, enum line_kind kind, void (*due)(struct loop *loop, struct timer *t))
{
	struct line *l = calloc(1, sizeof *l);

	if (l == NULL)
		return NULL;
	l->kind = kind;
	l->uid = uid;
	l->send = s;
	l->timer.due = due;
	l->ref = (++last_ref + 1) * N_CHAINS +
	    uid % N_CHAINS; /* at least ASK_LINES; line_of_ref finds it by its chain */
	l->chain = chains[uid % N_CHAINS];
	chains[uid % N_CHAINS] = l;
	return l;
}

struct line *
line_of_ref(uint64_t ref)
{
	struct line *l = chains[ref % N_CHAINS];

	while (l != NULL && (l->ref != ref || l->n_asked == 0))
		l = l->chain;
	return l;
}

struct line *
line_of_number(uint64_t number)
{
	for (size_t i = 0; i < N_CHAINS; i++)
		for (struct line *l = chains[i]; l != NULL; l = l->chain)
			if (l->slot.runs && l->number == number)
				return l;
	return NULL;
}
