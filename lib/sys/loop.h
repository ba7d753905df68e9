/* One thread's event loop: descriptors that are ready, timers that are due. Sources and timers are the caller's memory,
 * often members of what they belong to (use container_of to get back). */
#pragma once

#include "base/result.h"

#include <stdbool.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#define container_of(member_at, type, member) ((type *)(void *)((char *)(member_at)-offsetof(type, member)))

struct loop;

struct source {
	int fd;
	void (*ready)(struct loop *loop, struct source *s, uint32_t events); /* EPOLLIN, EPOLLOUT, EPOLLHUP … */
	uint32_t events;                                                     /* watched for now; 0: not in the loop */
};

struct timer {
	void (*due)(struct loop *loop, struct timer *t);
	uint64_t at; /* clock_ms */
	size_t slot; /* place in the heap + 1; 0: not set */
};

#define LOOP_BATCH 64

struct loop {
	int epoll_fd;
	bool stop;
	uint64_t now; /* clock_ms at the last wake-up */
	struct timer **heap;
	size_t n_timers, heap_size;
	struct epoll_event batch[LOOP_BATCH];
	int n_batch, at_batch;
	void (*idle)(struct loop *loop); /* called after each batch, before waiting; may be null */
	bool hurry;                      /* set by idle: there is more to do, poll instead of wait */
	const sigset_t *waiting_mask;    /* signals blocked while waiting; null: those that are blocked anyway */
};

/* EXHAUSTED if the kernel has no descriptor left. */
enum result loop_open(struct loop *loop, struct why *why);
void loop_close(struct loop *loop);

/* Adds a source or changes what it is watched for. EXHAUSTED if the kernel refuses. */
enum result loop_watch(struct loop *loop, struct source *s, uint32_t events, struct why *why);

/* Takes it out; also from the batch in progress, so that its memory may be freed at once. Does not close the fd. */
void loop_forget(struct loop *loop, struct source *s);

/* Sets (or moves) a timer to clock_ms `at`. EXHAUSTED if there is no memory. */
enum result loop_at(struct loop *loop, struct timer *t, uint64_t at);
void loop_cancel(struct loop *loop, struct timer *t);

/* Runs until loop->stop. Returns OK, or BROKEN if the kernel refuses to wait. */
enum result loop_run(struct loop *loop, struct why *why);
