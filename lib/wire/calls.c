/* The table of open questions.
 * Trusts no reference that comes back: it is looked up, and must be that of a question that is open.
 * Never uses a reference twice, never calls back for a question more often than it was answered, never behind calls_forget. */
#include "wire/calls.h"

#include <stdlib.h>

/* a reference: how many were asked before, and the place */
#define PLACE_BITS 20
#define PLACES_MAX (UINT64_C(1) << PLACE_BITS)

struct call {
	struct calls *in;
	struct call *older, *newer;   /* in the table; `newer` of a free place: the next free one */
	struct call *before, *behind; /* of the same caller */
	struct caller *who;           /* null: forgotten, its answer is owed */
	call_answer then;
	struct timer deadline;
	uint64_t ref; /* 0: free */
	size_t place;
	unsigned what;
};

struct calls
calls_of(struct loop *loop, size_t max)
{
	return (struct calls){ .loop = loop, .max = max < PLACES_MAX ? max : PLACES_MAX };
}

/* ---- places ---- */

static struct call *
make_place(struct calls *c)
{
	struct call *call;

	if ((c->size & (c->size - 1)) == 0) { /* twice as many, when they are a power of two */
		struct call **places = reallocarray(c->places, c->size == 0 ? 1 : 2 * c->size, sizeof *places);

		if (places == NULL)
			return NULL;
		c->places = places;
	}
	call = calloc(1, sizeof *call);
	if (call == NULL)
		return NULL;
	call->in = c;
	call->place = c->size;
	c->places[c->size++] = call;
	return call;
}

static struct call *
take_place(struct calls *c)
{
	struct call *call = c->free;

	if (c->n == c->max)
		return NULL;
	if (call == NULL)
		return make_place(c);
	c->free = call->newer;
	return call;
}

static struct call *
find(const struct calls *c, uint64_t ref)
{
	uint64_t place = ref & (PLACES_MAX - 1);

	return ref != 0 && place < c->size && c->places[place]->ref == ref ? c->places[place] : NULL;
}

static void
append(struct calls *c, struct call *call)
{
	call->newer = NULL;
	call->older = c->newest;
	if (c->newest != NULL)
		c->newest->newer = call;
	else
		c->oldest = call;
	c->newest = call;
	c->n++;
}

/* Nobody waits for it any more. */
static void
part(struct call *call)
{
	if (call->in->loop != NULL)
		loop_cancel(call->in->loop, &call->deadline);
	if (call->who == NULL)
		return;
	if (call->before != NULL)
		call->before->behind = call->behind;
	else
		call->who->first = call->behind;
	if (call->behind != NULL)
		call->behind->before = call->before;
	call->who = NULL;
}

static void
give_back(struct call *call)
{
	struct calls *c = call->in;

	part(call);
	if (call->older != NULL)
		call->older->newer = call->newer;
	else
		c->oldest = call->newer;
	if (call->newer != NULL)
		call->newer->older = call->older;
	else
		c->newest = call->older;
	call->ref = 0;
	call->newer = c->free;
	c->free = call;
	c->n--;
}

/* ---- asking ---- */

static void
expired(struct loop *loop, struct timer *t)
{
	struct call *call = container_of(t, struct call, deadline);
	struct caller *who = call->who;

	(void)loop;
	part(call); /* the answer is owed */
	call->then(call->in, who, call->what, CALL_EXPIRED, NULL);
}

static bool
set_deadline(struct call *call, uint64_t patience_ms)
{
	if (call->in->loop == NULL || patience_ms == 0)
		return true;
	call->deadline.due = expired;
	return loop_at(call->in->loop, &call->deadline, call->in->loop->now + patience_ms) == OK;
}

uint64_t
calls_ask(struct calls *c, struct caller *who, unsigned what, call_answer then, uint64_t patience_ms)
{
	struct call *call = take_place(c);

	if (call == NULL)
		return 0;
	call->ref = ++c->n_asked << PLACE_BITS | call->place;
	call->who = who;
	call->what = what;
	call->then = then;
	call->before = NULL;
	call->behind = who->first;
	if (who->first != NULL)
		who->first->before = call;
	who->first = call;
	append(c, call);
	if (set_deadline(call, patience_ms))
		return call->ref;
	give_back(call);
	return 0;
}

void
calls_renew(struct calls *c, uint64_t ref, uint64_t patience_ms)
{
	struct call *call = find(c, ref);

	if (call != NULL && call->who != NULL)
		(void)set_deadline(call, patience_ms); /* where there is no memory it waits until the channel ends */
}

/* ---- ends ---- */

/* The place is free before anybody is called: what the callback asks may have it. */
static void
conclude(struct call *call, enum call_end how, struct wire_message *m)
{
	struct caller *who = call->who;
	struct calls *c = call->in;
	unsigned what = call->what;
	call_answer then = call->then;

	give_back(call);
	if (who != NULL)
		then(c, who, what, how, m);
}

bool
calls_answered(struct calls *c, uint64_t ref, struct wire_message *m)
{
	struct call *call = find(c, ref);

	if (call == NULL)
		return false;
	conclude(call, CALL_ANSWERED, m);
	return true;
}

bool
calls_heard(struct calls *c, uint64_t ref, struct wire_message *m)
{
	struct call *call = find(c, ref);

	if (call == NULL)
		return false;
	if (c->loop != NULL)
		loop_cancel(c->loop, &call->deadline);
	if (call->who != NULL)
		call->then(c, call->who, call->what, CALL_HEARD, m);
	return true;
}

void
calls_withdraw(struct calls *c, uint64_t ref)
{
	struct call *call = find(c, ref);

	if (call != NULL)
		give_back(call);
}

void
calls_forget(struct caller *who)
{
	while (who->first != NULL)
		part(who->first);
}

void
calls_broken(struct calls *c)
{
	uint64_t last = c->n_asked;

	while (c->oldest != NULL && c->oldest->ref >> PLACE_BITS <= last)
		conclude(c->oldest, CALL_BROKEN, NULL);
}

void
calls_close(struct calls *c)
{
	while (c->oldest != NULL)
		give_back(c->oldest);
	for (size_t i = 0; i < c->size; i++)
		free(c->places[i]);
	free(c->places);
	*c = calls_of(c->loop, c->max);
}
