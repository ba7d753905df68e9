/* Messages that could not be opened or read when they were to be sent: they are looked at again, at growing intervals. */
#pragma once

#include "base/id.h"
#include "sys/loop.h"

#define LATE_MAX 65536u

struct late {
	struct loop *loop;
	struct timer timer;
	void (*look)(void *context, const struct id *id);
	bool (*may_look)(void *context); /* false: no room now, try in a second */
	void *context;
	uint64_t *ring; /* ids as numbers */
	size_t first, n, size;
	uint64_t pause_ms;
};

/* In place: *l must not move. look() may call late_add. */
void late_open(struct late *l, struct loop *loop, void (*look)(void *context, const struct id *id),
    bool (*may_look)(void *context), void *context);

/* False if there is no memory or no room: only the next start finds this message again. */
bool late_add(struct late *l, const struct id *id);
