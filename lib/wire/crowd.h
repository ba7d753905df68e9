/* Too many descriptors under way. The kernel counts, for each uid, the descriptors that were sent and not yet received. A process may send no
 * more while the count is above its own limit of open descriptors (ETOOMANYREFS). That passes when receivers catch up: the
 * sender waits and tries again. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CROWD_PATIENCE_MS 20000 /* in all, where a sender has nothing else to do */

struct crowd {
	uint32_t delay_ms, waited_ms; /* zero at first */
};

/* How long to wait before the next try: 1 ms, then twice as long each time, at most 250 ms. Logs "descriptors-crowded", once a minute. */
uint32_t crowd_delay(struct crowd *c);

/* Waits that long. False: its patience is at an end, it has not waited. */
bool crowd_wait(struct crowd *c);
