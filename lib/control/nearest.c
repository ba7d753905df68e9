/* How near two names are.
 * Trusts nothing in either; longer names than NEAREST_LEN_MAX are not compared.
 * Never allocates. */
#include "control/nearest.h"

#include <string.h>

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Damerau's distance (optimal string alignment), of which the last three rows are kept. */
size_t
nearest_distance(struct bytes a, struct bytes b)
{
	size_t rows[3][NEAREST_LEN_MAX + 1];
	size_t *before = rows[0], *last = rows[1], *row = rows[2], *spent;

	if (a.len > NEAREST_LEN_MAX || b.len > NEAREST_LEN_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= b.len; j++)
		last[j] = before[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		uint8_t x = ascii_lower(a.at[i - 1]);

		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			uint8_t y = ascii_lower(b.at[j - 1]);

			row[j] = least(last[j - 1] + (x != y), least(last[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && x == ascii_lower(b.at[j - 2]) && y == ascii_lower(a.at[i - 2]))
				row[j] = least(row[j], before[j - 2] + 1);
		}
		spent = before;
		before = last;
		last = row;
		row = spent;
	}
	return last[b.len];
}
