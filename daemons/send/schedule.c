/* The quadratic schedule of qmail.
 * Trusts the clock only so far that a message of the future counts as born now.
 * Never yields a time that is past. */
#include "send/send.h"

#define AGE_MAX (UINT64_C(1) << 40)
#define IN_DOUBT_LEAST_S 3600u

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

static uint64_t
age_of(uint64_t birth_s, uint64_t now_s)
{
	uint64_t age = now_s > birth_s ? now_s - birth_s : 0;

	return age < AGE_MAX ? age : AGE_MAX;
}

static uint64_t
step_of(enum channel_kind kind)
{
	return kind == KIND_LOCAL ? 10 : 20;
}

uint64_t
schedule_next(uint64_t birth_s, uint64_t now_s, enum channel_kind kind)
{
	uint64_t root = square_root(age_of(birth_s, now_s)) + step_of(kind);
	uint64_t next = (birth_s < now_s ? birth_s : now_s) + root * root;

	return next > now_s ? next : now_s + 1;
}

uint64_t
schedule_in_doubt(uint64_t birth_s, uint64_t now_s, uint64_t lifetime_s)
{
	uint64_t age = age_of(birth_s, now_s), wait = 3 * age > IN_DOUBT_LEAST_S ? 3 * age : IN_DOUBT_LEAST_S;

	if (lifetime_s > age && wait > lifetime_s - age)
		wait = lifetime_s - age + 1;
	return now_s + wait;
}

bool
schedule_passes(uint64_t birth_s, uint64_t due_s, uint64_t now_s, uint64_t age_s, enum channel_kind kind)
{
	uint64_t root = square_root(age_of(birth_s, due_s)), step = step_of(kind);
	uint64_t before = root > step ? (root - step) * (root - step) : 0; /* or less than a step of its root later */

	return age_of(birth_s, now_s) >= age_s && before < age_s;
}
