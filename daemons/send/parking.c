/* A ring of messages' numbers that grows.
 * Trusts its caller to take only what is there.
 * Never holds anything else of a message. */
#include "send/parking.h"

#include <stdlib.h>

#define FIRST_SIZE 64

static bool
grow(struct parking *p)
{
	size_t size = p->size == 0 ? FIRST_SIZE : p->size * 2;
	uint64_t *ring = reallocarray(NULL, size, sizeof *ring);

	if (ring == NULL)
		return false;
	for (size_t i = 0; i < p->n; i++)
		ring[i] = p->ring[(p->first + i) & (p->size - 1)];
	free(p->ring);
	*p = (struct parking){ .ring = ring, .n = p->n, .size = size };
	return true;
}

bool
parking_put(struct parking *p, const struct id *id)
{
	uint64_t number = id_number(id);

	if (p->n > 0 && p->ring[(p->first + p->n - 1) & (p->size - 1)] == number)
		return true;
	if (p->n == p->size && !grow(p))
		return false;
	p->ring[(p->first + p->n++) & (p->size - 1)] = number;
	return true;
}

struct id
parking_take(struct parking *p)
{
	uint64_t number = p->ring[p->first];

	p->first = (p->first + 1) & (p->size - 1);
	p->n--;
	return id_of_number(number);
}
