/* The event loop: epoll and a binary heap of timers.
 * Trusts its callers to forget a source before they free it or close its descriptor.
 * Never calls a source that was forgotten, even if its event was already fetched; never runs a timer twice. */
#include "sys/loop.h"

#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum result
loop_open(struct loop *loop, struct why *why)
{
	*loop = (struct loop){ .epoll_fd = epoll_create1(EPOLL_CLOEXEC), .now = clock_ms() };
	if (loop->epoll_fd < 0)
		return why_errno(why, EXHAUSTED, "making an event loop");
	return OK;
}

void
loop_close(struct loop *loop)
{
	if (loop->epoll_fd >= 0)
		(void)close(loop->epoll_fd);
	loop->epoll_fd = -1;
	free(loop->heap);
	loop->heap = NULL;
	loop->n_timers = loop->heap_size = 0;
}

enum result
loop_watch(struct loop *loop, struct source *s, uint32_t events, struct why *why)
{
	struct epoll_event e = { .events = events, .data.ptr = s };

	if (s->events == events)
		return OK;
	if (epoll_ctl(loop->epoll_fd, s->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, s->fd, &e) != 0)
		return why_errno(why, EXHAUSTED, "watching a descriptor");
	s->events = events;
	return OK;
}

void
loop_forget(struct loop *loop, struct source *s)
{
	if (s->events == 0)
		return;
	(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
	s->events = 0;
	for (int i = loop->at_batch; i < loop->n_batch; i++)
		if (loop->batch[i].data.ptr == s)
			loop->batch[i].data.ptr = NULL;
}

static void
place(struct loop *loop, size_t i, struct timer *t)
{
	loop->heap[i] = t;
	t->slot = i + 1;
}

static void
sift_up(struct loop *loop, size_t i, struct timer *t)
{
	while (i > 0 && loop->heap[(i - 1) / 2]->at > t->at) {
		place(loop, i, loop->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	place(loop, i, t);
}

static void
sift_down(struct loop *loop, size_t i, struct timer *t)
{
	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < loop->n_timers && loop->heap[child + 1]->at < loop->heap[child]->at)
			child++;
		if (child >= loop->n_timers || loop->heap[child]->at >= t->at)
			break;
		place(loop, i, loop->heap[child]);
		i = child;
	}
	place(loop, i, t);
}

enum result
loop_at(struct loop *loop, struct timer *t, uint64_t at)
{
	if (t->slot != 0)
		loop_cancel(loop, t);
	if (loop->n_timers == loop->heap_size) {
		size_t size = loop->heap_size == 0 ? 16 : loop->heap_size * 2;
		struct timer **heap = reallocarray(loop->heap, size, sizeof *heap);

		if (heap == NULL)
			return EXHAUSTED;
		loop->heap = heap;
		loop->heap_size = size;
	}
	t->at = at;
	sift_up(loop, loop->n_timers++, t);
	return OK;
}

void
loop_cancel(struct loop *loop, struct timer *t)
{
	size_t i = t->slot - 1;
	struct timer *last;

	if (t->slot == 0)
		return;
	t->slot = 0;
	last = loop->heap[--loop->n_timers];
	if (i == loop->n_timers)
		return;
	if (i > 0 && loop->heap[(i - 1) / 2]->at > last->at)
		sift_up(loop, i, last);
	else
		sift_down(loop, i, last);
}

static void
run_timers(struct loop *loop)
{
	while (!loop->stop && loop->n_timers > 0 && loop->heap[0]->at <= loop->now) {
		struct timer *t = loop->heap[0];

		loop_cancel(loop, t);
		t->due(loop, t);
	}
}

static int
time_to_wait(const struct loop *loop)
{
	uint64_t wait;

	if (loop->hurry)
		return 0;
	if (loop->n_timers == 0)
		return -1;
	if (loop->heap[0]->at <= loop->now)
		return 0;
	wait = loop->heap[0]->at - loop->now;
	return wait > 3600000 ? 3600000 : (int)wait;
}

enum result
loop_run(struct loop *loop, struct why *why)
{
	while (!loop->stop) {
		int n = epoll_pwait(loop->epoll_fd, loop->batch, LOOP_BATCH, time_to_wait(loop), loop->waiting_mask);

		if (n < 0 && errno != EINTR)
			return why_errno(why, BROKEN, "waiting for events");
		loop->now = clock_ms();
		loop->n_batch = n < 0 ? 0 : n;
		for (loop->at_batch = 0; loop->at_batch < loop->n_batch && !loop->stop;) {
			struct epoll_event *e = &loop->batch[loop->at_batch++];
			struct source *s = e->data.ptr;

			if (s != NULL)
				s->ready(loop, s, e->events);
		}
		run_timers(loop);
		loop->hurry = false;
		if (loop->idle != NULL && !loop->stop)
			loop->idle(loop);
	}
	return OK;
}
