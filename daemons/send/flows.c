/* Fair queueing: what waits for a next hop, sender by sender in turn, so that one's hundred thousand messages delay
 * another's single one by one transaction.
 * Trusts nothing about senders: their hash has a key of this process's own.
 * Never drops anything, never takes more memory for a sender who has nothing in line. */
#include "send/hops.h"

#include <stdlib.h>
#include <sys/random.h>

#define FLOWS_MAX 64 /* of a next hop; more senders than that share */

static uint64_t last_number; /* of a transaction */

static uint32_t
hash_of(struct bytes sender)
{
	static uint64_t seed;
	uint64_t h;

	if (seed == 0 && getrandom(&seed, sizeof seed, 0) != sizeof seed)
		seed = UINT64_C(0xcbf29ce484222325);
	h = seed;
	for (size_t i = 0; i < sender.len; i++)
		h = (h ^ sender.at[i]) * UINT64_C(0x100000001b3);
	return (uint32_t)(h >> 32 ^ h);
}

struct flow *
flow_of(struct flows *f, const struct message *m)
{
	uint32_t hash = hash_of(m->store.reverse);
	struct flow *flow = f->served, *shared = NULL;

	for (unsigned i = 0; i < f->n; i++, flow = flow->next) {
		if (flow->hash == hash)
			return flow;
		if (i == hash % FLOWS_MAX)
			shared = flow;
	}
	if (f->n == FLOWS_MAX)
		return shared;
	if ((flow = calloc(1, sizeof *flow)) == NULL)
		return NULL;
	flow->hash = hash;
	if (f->served == NULL)
		flow->next = f->served = flow;
	else {
		flow->next = f->served->next;
		f->served->next = flow;
	}
	f->n++;
	return flow;
}

void
flow_append(struct flows *f, struct flow *flow, struct transaction *t)
{
	t->number = ++last_number;
	t->next = NULL;
	*(flow->last != NULL ? &flow->last->next : &flow->first) = t;
	flow->last = t;
	flow->n++;
	f->n_waiting++;
}

void
flow_put_back(struct flows *f, struct flow *flow, struct transaction *t)
{
	struct transaction **link = &flow->first;

	while (*link != NULL && (*link)->number < t->number)
		link = &(*link)->next;
	t->next = *link;
	*link = t;
	if (t->next == NULL)
		flow->last = t;
	flow->n++;
	f->n_waiting++;
}

struct transaction *
flows_next(struct flows *f)
{
	struct transaction *t;
	struct flow *flow;

	if (f->n_waiting == 0)
		return NULL;
	do
		f->served = f->served->next;
	while (f->served->first == NULL);
	flow = f->served;
	t = flow->first;
	flow->first = t->next;
	if (flow->first == NULL)
		flow->last = NULL;
	t->next = NULL;
	flow->n--;
	f->n_waiting--;
	return t;
}

bool
flow_park(struct flows *f, struct flow *flow, const struct id *id)
{
	size_t before = flow->parked.n;

	if (!parking_put(&flow->parked, id))
		return false;
	f->n_parked += (uint32_t)(flow->parked.n - before);
	return true;
}

struct id
flows_next_parked(struct flows *f)
{
	do
		f->served = f->served->next;
	while (f->served->parked.n == 0);
	f->n_parked--;
	return parking_take(&f->served->parked);
}

void
flows_free(struct flows *f)
{
	for (unsigned n = f->n; n > 0; n--) {
		struct flow *flow = f->served->next;

		if (flow->first != NULL || flow->parked.n > 0) {
			f->served = flow;
			continue;
		}
		f->served->next = flow->next;
		if (f->served == flow)
			f->served = NULL;
		free(flow->parked.ring);
		free(flow);
		f->n--;
	}
}
