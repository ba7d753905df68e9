/* The quadratic schedule of qmail.
 * Trusts the clock only so far that a message of the future counts as born now.
 * Never yields a time that is past. */
#include "send/send.h"

static uint64_t
square_root(uint64_t n)
{
	uint64_t low = 0, high = UINT64_C(1) << 32;

	while (low + 1 < high) {
		uint64_t middle = low + (high - low) / 2;

		if (middle * middle <= n)
			low = middle;
		else
			high = middle;
	}
	return low;
}

uint64_t
schedule_next(uint64_t birth_s, uint64_t now_s, enum channel_kind kind)
{
	uint64_t age = now_s > birth_s ? now_s - birth_s : 0, root, next;

	if (age > (UINT64_C(1) << 40))
		age = UINT64_C(1) << 40;
	root = square_root(age) + (kind == KIND_LOCAL ? 10 : 20);
	next = (birth_s < now_s ? birth_s : now_s) + root * root;
	return next > now_s ? next : now_s + 1;
}
