/* Messages that wait for their time: a heap of 16 octets each and an index of 4 to 8; nothing else of them is in memory.
 * Trusts ids and times that queue and the schedule gave.
 * Never asks for more messages than there is room for, nor leaves new mail without room. */
#include "send/send.h"

#include "sys/clock.h"
#include "sys/log.h"

#include <stdlib.h>

#define NUMBER_BITS 55 /* of an id */
#define TO_BE_TOLD 60  /* seconds: the wall clock may be set meanwhile */
#define FIRST_SIZE 1024

struct entry {
	uint64_t due_s;
	uint64_t id; /* as a number; above its bits why it is to be asked for: enum asked */
};

static struct {
	struct entry *heap;
	uint32_t *index; /* of twice the size: place in the heap + 1, found by the id's hash; 0: none */
	size_t n, size;  /* size: a power of two, or 0 */
	struct timer timer;
	struct send *send;
} waiting;

static uint64_t
number_at(size_t i)
{
	return waiting.heap[i].id & ((UINT64_C(1) << NUMBER_BITS) - 1);
}

/* ---- the index ---- */

static size_t
home_of(uint64_t number)
{
	return (size_t)(number * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (2 * waiting.size - 1);
}

/* where it is in the index, or the free place for it */
static size_t
slot_of(uint64_t number)
{
	size_t slot = home_of(number);

	while (waiting.index[slot] != 0 && number_at(waiting.index[slot] - 1) != number)
		slot = (slot + 1) & (2 * waiting.size - 1);
	return slot;
}

/* those behind it move up, so that each is found from its home on */
static void
free_slot(size_t slot)
{
	size_t mask = 2 * waiting.size - 1;

	for (size_t i = (slot + 1) & mask; waiting.index[i] != 0; i = (i + 1) & mask) {
		size_t home = home_of(number_at(waiting.index[i] - 1));

		if (((i - home) & mask) < ((i - slot) & mask))
			continue;
		waiting.index[slot] = waiting.index[i];
		slot = i;
	}
	waiting.index[slot] = 0;
}

static bool
grow(void)
{
	size_t size = waiting.size == 0 ? FIRST_SIZE : waiting.size * 2;
	uint32_t *index = size < UINT32_MAX / 2 ? calloc(2 * size, sizeof *index) : NULL;
	struct entry *heap = index == NULL ? NULL : reallocarray(waiting.heap, size, sizeof *heap);

	if (heap == NULL) {
		free(index);
		return false;
	}
	free(waiting.index);
	waiting.heap = heap;
	waiting.index = index;
	waiting.size = size;
	for (size_t i = 0; i < waiting.n; i++)
		waiting.index[slot_of(number_at(i))] = (uint32_t)i + 1;
	return true;
}

/* ---- the heap ---- */

static void
swap(size_t i, size_t k)
{
	size_t slot_i = slot_of(number_at(i)), slot_k = slot_of(number_at(k));
	struct entry e = waiting.heap[i];

	waiting.heap[i] = waiting.heap[k];
	waiting.heap[k] = e;
	waiting.index[slot_i] = (uint32_t)k + 1;
	waiting.index[slot_k] = (uint32_t)i + 1;
}

static void
sift(size_t i)
{
	for (; i > 0 && waiting.heap[(i - 1) / 2].due_s > waiting.heap[i].due_s; i = (i - 1) / 2)
		swap(i, (i - 1) / 2);
	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < waiting.n && waiting.heap[child + 1].due_s < waiting.heap[child].due_s)
			child++;
		if (child >= waiting.n || waiting.heap[child].due_s >= waiting.heap[i].due_s)
			return;
		swap(i, child);
		i = child;
	}
}

static void
take_out(size_t i)
{
	size_t last = waiting.n - 1;

	if (i != last)
		swap(i, last);
	free_slot(slot_of(number_at(last)));
	waiting.n--;
	if (i != last)
		sift(i);
}

static bool
put_in(const struct id *id, uint64_t due_s, enum asked asked)
{
	uint64_t number = id_number(id);
	struct entry e = { due_s, number | (uint64_t)asked << NUMBER_BITS };
	size_t slot;

	if (waiting.n == waiting.size && !grow())
		return false;
	slot = slot_of(number);
	if (waiting.index[slot] == 0)
		waiting.index[slot] = (uint32_t)++waiting.n;
	waiting.heap[waiting.index[slot] - 1] = e;
	sift(waiting.index[slot] - 1);
	return true;
}

/* ---- going on ---- */

static bool
has_room(const struct send *s)
{
	return s->n_fetched + s->n_fetching < s->in_hand_max / 2 && s->n_in_hand + s->n_fetching < s->in_hand_max &&
	    s->weight < WEIGHT_MAX / 2;
}

void
waiting_go_on(struct send *s)
{
	uint64_t now = waiting.n > 0 ? clock_wall_s() : 0, wait;

	while (waiting.n > 0 && waiting.heap[0].due_s <= now && has_room(s)) {
		struct id id = id_of_number(number_at(0));
		uint64_t asked = waiting.heap[0].id >> NUMBER_BITS;

		take_out(0);
		send_fetch(s, &id, (uint32_t)asked);
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
	free(waiting.index);
	waiting.heap = NULL;
	waiting.index = NULL;
	waiting.n = waiting.size = 0;
	waiting.timer = (struct timer){ .due = due };
	waiting.send = s;
}

bool
waiting_add(struct send *s, const struct id *id, uint64_t due_s)
{
	bool added = put_in(id, due_s, ASK_DUE);

	if (!added)
		log_simple(SEVERITY_ERROR, "not-waiting", "msg", id->text);
	waiting_go_on(s);
	return added;
}

void
waiting_ask(struct send *s, const struct id *id, enum asked asked)
{
	(void)put_in(id, 0, asked); /* no memory: an administrator asks again */
	waiting_go_on(s);
}

void
waiting_ask_all(struct send *s)
{
	for (size_t i = 0; i < waiting.n; i++)
		waiting.heap[i] = (struct entry){ 0, number_at(i) | (uint64_t)ASK_NOW << NUMBER_BITS };
	waiting_go_on(s); /* all equal: it is a heap */
}

void
waiting_remove(const struct id *id)
{
	size_t slot = waiting.n > 0 ? slot_of(id_number(id)) : 0;

	if (waiting.n > 0 && waiting.index[slot] != 0)
		take_out(waiting.index[slot] - 1);
}

size_t
waiting_count(void)
{
	return waiting.n;
}
