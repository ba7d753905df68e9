/* Which keys a table has already.
 * Trusts nothing: keys are an administrator's.
 * Never fails: without memory a table has a key twice, and what came first counts all the same. */
#include "control/decode.h"

#include <stdlib.h>

static bool
seen_grow(struct seen *set)
{
	struct seen larger = { .size = set->size == 0 ? 256 : set->size * 2 };

	larger.slots = calloc(larger.size, sizeof *larger.slots);
	if (larger.slots == NULL)
		return false;
	for (size_t i = 0; i < set->size; i++) {
		size_t at = set->slots[i] & (larger.size - 1);

		if (set->slots[i] == 0)
			continue;
		while (larger.slots[at] != 0)
			at = (at + 1) & (larger.size - 1);
		larger.slots[at] = set->slots[i];
	}
	free(set->slots);
	larger.n = set->n;
	*set = larger;
	return true;
}

bool
seen_before(struct seen *set, struct bytes key)
{
	uint64_t hash = UINT64_C(14695981039346656037);
	size_t i;

	for (i = 0; i < key.len; i++)
		hash = (hash ^ key.at[i]) * UINT64_C(1099511628211); /* FNV-1a */
	hash += hash == 0;
	if (set->n * 2 >= set->size && !seen_grow(set))
		return false;
	for (i = hash & (set->size - 1); set->slots[i] != 0; i = (i + 1) & (set->size - 1))
		if (set->slots[i] == hash)
			return true;
	set->slots[i] = hash;
	set->n++;
	return false;
}
