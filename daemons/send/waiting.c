/* Messages that wait for their time: a heap of 16 octets each, nothing else of them is in memory.
 * Trusts ids and times that queue and the schedule gave.
 * Never asks for more messages than can be in hand. */
#include "send/send.h"

#include "sys/clock.h"
#include "sys/log.h"

#include <stdlib.h>

struct entry {
	uint64_t due_s;
	uint64_t id; /* as a number */
};

static struct {
	struct entry *heap;
	size_t n, size;
	struct timer timer;
	struct send *send;
} waiting;

#define ASKED_MAX 256

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

static void
set_timer(void)
{
	uint64_t now = clock_wall_s(), wait;

	if (waiting.n == 0) {
		loop_cancel(&waiting.send->loop, &waiting.timer);
		return;
	}
	wait = waiting.heap[0].due_s > now ? waiting.heap[0].due_s - now : 0;
	if (wait > 60)
		wait = 60; /* the wall clock may be set */
	(void)loop_at(&waiting.send->loop, &waiting.timer, clock_ms() + (wait == 0 ? 20 : wait * 1000));
}

static void
due(struct loop *loop, struct timer *t)
{
	struct send *s = waiting.send;
	uint64_t now = clock_wall_s();
	struct qs_name name = { 0 };
	struct why why = WHY_NONE;

	(void)loop;
	(void)t;
	for (int i = 0;
	     i < ASKED_MAX && waiting.n > 0 && waiting.heap[0].due_s <= now && s->n_in_hand + (uint32_t)i < IN_HAND_MAX;
	     i++) {
		struct id id = id_of_number(waiting.heap[0].id);

		for (size_t k = 0; k <= ID_LEN; k++)
			name.id[k] = id.text[k];
		if (port_send(&s->queue, QS_FETCH, 1, &name, BYTES_NONE, NULL, &why) != OK)
			break; /* its end is noticed elsewhere */
		take_out(0);
	}
	set_timer();
}

void
waiting_open(struct send *s)
{
	waiting.send = s;
	waiting.timer.due = due;
}

bool
waiting_add(struct send *s, const struct id *id, uint64_t due_s)
{
	(void)s;
	if (waiting.n == waiting.size) {
		size_t size = waiting.size == 0 ? 1024 : waiting.size * 2;
		struct entry *heap = reallocarray(waiting.heap, size, sizeof *heap);

		if (heap == NULL)
			return false;
		waiting.heap = heap;
		waiting.size = size;
	}
	sift_up(waiting.n++, (struct entry){ due_s, id_number(id) });
	set_timer();
	return true;
}

void
waiting_retry(struct send *s, const struct id *id)
{
	(void)s;
	for (size_t i = 0; i < waiting.n; i++)
		if (id == NULL || waiting.heap[i].id == id_number(id))
			waiting.heap[i].due_s = 0;
	for (size_t i = waiting.n / 2; i-- > 0;)
		sift_down(i, waiting.heap[i]);
	set_timer();
}

void
waiting_remove(const struct id *id)
{
	for (size_t i = 0; i < waiting.n; i++)
		if (waiting.heap[i].id == id_number(id)) {
			take_out(i);
			break;
		}
	set_timer();
}

size_t
waiting_count(void)
{
	return waiting.n;
}
