/* Messages to be looked at again.
 * Trusts its caller that an id names a message, or one that is gone meanwhile.
 * Never forgets one while there is room, never looks without a pause. */
#include "queue/late.h"

#include <stdlib.h>

#define FIRST_SIZE 64
#define PAUSE_MS 1000
#define PAUSE_MAX_MS 300000

static bool
grow(struct late *l)
{
	size_t size = l->size == 0 ? FIRST_SIZE : l->size * 2;
	uint64_t *ring = size > LATE_MAX ? NULL : reallocarray(NULL, size, sizeof *ring);

	if (ring == NULL)
		return false;
	for (size_t i = 0; i < l->n; i++)
		ring[i] = l->ring[(l->first + i) % l->size];
	free(l->ring);
	l->ring = ring;
	l->first = 0;
	l->size = size;
	return true;
}

static void
look_again(struct loop *loop, struct timer *t)
{
	struct late *l = container_of(t, struct late, timer);
	size_t before = l->n;

	for (size_t left = before; left > 0 && l->may_look(l->context); left--) {
		struct id id = id_of_number(l->ring[l->first]);

		l->first = (l->first + 1) % l->size;
		l->n--;
		l->look(l->context, &id);
	}
	l->pause_ms = l->n < before ? PAUSE_MS : l->pause_ms * 2 < PAUSE_MAX_MS ? l->pause_ms * 2 : PAUSE_MAX_MS;
	if (l->n > 0)
		(void)loop_at(loop, t, loop->now + l->pause_ms);
}

void
late_open(struct late *l, struct loop *loop, void (*look)(void *context, const struct id *id),
    bool (*may_look)(void *context), void *context)
{
	*l = (struct late){ .loop = loop,
		.timer = { .due = look_again },
		.look = look,
		.may_look = may_look,
		.context = context,
		.pause_ms = PAUSE_MS };
}

bool
late_add(struct late *l, const struct id *id)
{
	if (l->n == l->size && !grow(l))
		return false;
	l->ring[(l->first + l->n++) % l->size] = id_number(id);
	if (l->timer.slot == 0)
		return loop_at(l->loop, &l->timer, l->loop->now + l->pause_ms) == OK;
	return true;
}
