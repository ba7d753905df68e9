/* Messages that found a line full: their numbers in the order in which they came, 8 octets each. */
#pragma once

#include "base/id.h"

#include <stdbool.h>
#include <stddef.h>

struct parking {
	uint64_t *ring;
	size_t n, first, size; /* size: a power of two, or 0 */
};

/* False: no memory. One that came last already is not put there twice. */
bool parking_put(struct parking *p, const struct id *id);

/* The one that came first. There must be one. */
struct id parking_take(struct parking *p);
