/* Messages that wait for their time: a heap of 16 octets each, nothing else of them is in memory.
 * Trusts ids and times that queue and the schedule gave.
 * Never asks for more messages than there is room for, nor leaves new mail without room. */
#include "send/send.h"

#include "sys/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define NUMBER_BITS 55 /* of an id */
#define TO_BE_TOLD 60  /* seconds: the wall clock may be set meanwhile */

struct entry {
	uint64_t due_s;
	uint64_t id; /* as a number; above its bits why it is to be asked for: enum asked, 0 as ASK_DUE */
};

static struct {
	struct entry *heap;
	size_t n, size;
	struct timer timer;
	struct send *send;
} waiting;

static uint64_t
number_of(const struct entry *e)
{
	return e->id & ((UINT64_C(1) << NUMBER_BITS) - 1);
}

static void
sift_down(size_t i, struct entry e)
{
	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < waiting.n && waiting.heap[child + 1].due_s < waiting.heap[child].due_s)
			child++;
		if (child >= waiting.n || waiting.heap[child].due_s >= e.due_s)
			break;
		waiting.heap[i] = waiting.heap[child];
		i = child;
	}
	waiting.heap[i] = e;
}

static void
sift_up(size_t i, struct entry e)
{
	while (i > 0 && waiting.heap[(i - 1) / 2].due_s > e.due_s) {
		waiting.heap[i] = waiting.heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	waiting.heap[i] = e;
}

static void
take_out(size_t i)
{
	struct entry last = waiting.heap[--waiting.n];

	if (i == waiting.n)
		return;
	if (i > 0 && waiting.heap[(i - 1) / 2].due_s > last.due_s)
		sift_up(i, last);
	else
		sift_down(i, last);
}

static bool
has_room(const struct send *s)
{
	return s->n_fetched + s->n_fetching < IN_HAND_MAX / 2 && s->n_in_hand + s->n_fetching < IN_HAND_MAX &&
	    s->weight < WEIGHT_MAX / 2;
}

void
waiting_go_on(struct send *s)
{
	uint64_t now = waiting.n > 0 ? clock_wall_s() : 0, wait;

	while (waiting.n > 0 && waiting.heap[0].due_s <= now && has_room(s)) {
		struct entry e = waiting.heap[0];
		struct id id = id_of_number(number_of(&e));
		uint64_t asked = e.id >> NUMBER_BITS;

		take_out(0);
		send_fetch(s, &id, asked == 0 ? ASK_DUE : (uint32_t)asked);
	}
	if (waiting.n == 0 || waiting.heap[0].due_s <= now) {
		loop_cancel(&s->loop, &waiting.timer); /* else: until something has gone */
		return;
	}
	wait = waiting.heap[0].due_s - now;
	wait = s->loop.now + 1000 * (wait < TO_BE_TOLD ? wait : TO_BE_TOLD);
	if (waiting.timer.slot == 0 || waiting.timer.at > wait)
		(void)loop_at(&s->loop, &waiting.timer, wait);
}

static void
due(struct loop *loop, struct timer *t)
{
	(void)loop;
	(void)t;
	waiting_go_on(waiting.send);
}

void
waiting_open(struct send *s)
{
	free(waiting.heap);
	waiting.heap = NULL;
	waiting.n = waiting.size = 0;
	waiting.timer = (struct timer){ .due = due };
	waiting.send = s;
}

bool
waiting_add(struct send *s, const struct id *id, uint64_t due_s)
{
	if (waiting.n == waiting.size) {
		size_t size = waiting.size == 0 ? 1024 : waiting.size + waiting.size / 2;
		struct entry *heap = reallocarray(waiting.heap, size, sizeof *heap);

		if (heap == NULL)
			return false;
		waiting.heap = heap;
		waiting.size = size;
	}
	waiting.n++;
	sift_up(waiting.n - 1, (struct entry){ due_s, id_number(id) });
	waiting_go_on(s);
	return true;
}

void
waiting_retry_all(struct send *s, struct bytes domain)
{
	uint64_t asked = domain.len > 0 ? ASK_DOMAIN : ASK_NOW;

	if (domain.len >= sizeof s->retry_domain)
		return;
	(void)snprintf(s->retry_domain, sizeof s->retry_domain, "%.*s", (int)domain.len, (const char *)domain.at);
	for (size_t i = 0; i < waiting.n; i++) {
		waiting.heap[i].due_s = 0;
		waiting.heap[i].id = number_of(&waiting.heap[i]) | asked << NUMBER_BITS;
	}
	waiting_go_on(s); /* all equal: it is a heap */
}

void
waiting_ask(struct send *s, const struct id *id, enum asked asked)
{
	waiting_remove(id);
	send_fetch(s, id, asked);
}

void
waiting_remove(const struct id *id)
{
	for (size_t i = 0; i < waiting.n; i++)
		if (number_of(&waiting.heap[i]) == id_number(id)) {
			take_out(i);
			return;
		}
}

size_t
waiting_count(void)
{
	return waiting.n;
}
