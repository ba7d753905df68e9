/* Processes that deliver locally: how many may run, who waits for one, which of them makes room. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* One user's place among them; all zero at first. */
struct slot {
	struct slot *next_waiting;  /* of those that wait for a process */
	struct slot *newer, *older; /* of those whose process has nothing to do */
	bool runs, waits, idles;
	bool lent; /* the process is slow, and another one may run in its place */
};

void slot_wait(struct slot *s); /* behind the others that wait, if it does not wait already */
bool slots_are_waited_for(void);

/* The next that may have a process, of those that wait: it waits no longer. Null: none can. max: processes at a time. *idle: one to be
 * stopped before; null: none. As many again run at most in the places of slow ones. */
struct slot *slots_next(uint32_t max, struct slot **idle);

void slot_started(struct slot *s);
void slot_ended(struct slot *s); /* fine if none runs */
void slot_set_idle(struct slot *s, bool idles);

/* Its process is slow, or its user has stopped it: it takes nobody's place any longer, until it answers (slot_reclaim). */
void slot_lend(struct slot *s);
void slot_reclaim(struct slot *s);
