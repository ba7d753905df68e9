/* The time.
 * Trusts the kernel's clocks; the wall clock may jump, the other may not.
 * Never fails: both clocks exist on every Linux. */
#include "sys/clock.h"

#include <time.h>

static struct timespec
now(clockid_t id)
{
	struct timespec t = { 0, 0 };

	(void)clock_gettime(id, &t);
	return t;
}

uint64_t
clock_wall_us(void)
{
	struct timespec t = now(CLOCK_REALTIME);

	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t
clock_wall_s(void)
{
	return (uint64_t)now(CLOCK_REALTIME).tv_sec;
}

uint64_t
clock_ms(void)
{
	struct timespec t = now(CLOCK_MONOTONIC);

	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t
clock_left_ms(uint64_t until)
{
	uint64_t ms = clock_ms();

	return ms < until ? until - ms : 0;
}
