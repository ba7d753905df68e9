/* Waiting until descriptors that are under way have arrived.
 * Trusts nobody: the waiting is bounded, whoever holds up the receivers.
 * Never ends a process or a conversation by itself. */
#include "wire/crowd.h"

#include "sys/clock.h"
#include "sys/log.h"

#include <poll.h>
#include <stddef.h>

#define DELAY_MAX_MS 250
#define TELL_EVERY_MS 60000

static void
tell(void)
{
	static uint64_t told_at;
	uint64_t now = clock_ms();

	if (told_at != 0 && now - told_at < TELL_EVERY_MS)
		return;
	told_at = now;
	log_simple(SEVERITY_WARNING, "descriptors-crowded", "why",
	    "more descriptors are on their way from processes of this user than this process's limit; it tries again");
}

uint32_t
crowd_delay(struct crowd *c)
{
	tell();
	c->delay_ms = c->delay_ms == 0 ? 1 : c->delay_ms * 2;
	if (c->delay_ms > DELAY_MAX_MS)
		c->delay_ms = DELAY_MAX_MS;
	return c->delay_ms;
}

bool
crowd_wait(struct crowd *c)
{
	uint32_t delay = crowd_delay(c);

	if (c->waited_ms >= CROWD_PATIENCE_MS)
		return false;
	c->waited_ms += delay;
	(void)poll(NULL, 0, (int)delay);
	return true;
}
