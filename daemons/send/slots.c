/* Places for processes that deliver locally.
 * Trusts its callers to say when a process starts, answers and ends.
 * Never lets a process that does not answer keep another user's mail waiting. */
#include "send/slots.h"

#include <stddef.h>

static struct slot *waiting_first, *waiting_last, *idle_oldest, *idle_newest;
static uint32_t n_running, n_lent;

/* ---- who waits ---- */

void
slot_wait(struct slot *s)
{
	if (s->waits)
		return;
	s->waits = true;
	s->next_waiting = NULL;
	*(waiting_last != NULL ? &waiting_last->next_waiting : &waiting_first) = s;
	waiting_last = s;
}

bool
slots_are_waited_for(void)
{
	return waiting_first != NULL;
}

static bool
has_room(uint32_t max)
{
	return n_running - n_lent < max && n_running < 2 * max;
}

struct slot *
slots_next(uint32_t max, struct slot **idle)
{
	struct slot *s = waiting_first;

	*idle = has_room(max) ? NULL : idle_oldest;
	if (s == NULL || (*idle == NULL && !has_room(max)))
		return NULL;
	waiting_first = s->next_waiting;
	if (waiting_first == NULL)
		waiting_last = NULL;
	s->waits = false;
	return s;
}

/* ---- what runs ---- */

void
slot_started(struct slot *s)
{
	s->runs = true;
	n_running++;
}

void
slot_ended(struct slot *s)
{
	if (!s->runs)
		return;
	slot_set_idle(s, false);
	slot_reclaim(s);
	s->runs = false;
	n_running--;
}

void
slot_set_idle(struct slot *s, bool idles)
{
	if (s->idles == idles)
		return;
	s->idles = idles;
	if (idles) {
		s->older = idle_newest;
		s->newer = NULL;
		*(idle_newest != NULL ? &idle_newest->newer : &idle_oldest) = s;
		idle_newest = s;
		return;
	}
	*(s->older != NULL ? &s->older->newer : &idle_oldest) = s->newer;
	*(s->newer != NULL ? &s->newer->older : &idle_newest) = s->older;
}

void
slot_lend(struct slot *s)
{
	if (!s->runs || s->lent)
		return;
	s->lent = true;
	n_lent++;
}

void
slot_reclaim(struct slot *s)
{
	if (!s->lent)
		return;
	s->lent = false;
	n_lent--;
}
