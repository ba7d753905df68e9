/* What each user has sent within the hour. */
#pragma once

#include "base/bytes.h"

#define USAGE_SETS 1024
#define USAGE_WAYS 4

struct usage_slot {
	uint64_t key; /* 0: free */
	uint64_t began_ms;
	uint32_t messages, recipients;
};

/* Of fixed size: the oldest of a set goes. Starts all zero. */
struct usage {
	struct usage_slot slots[USAGE_SETS][USAGE_WAYS];
};

/* Counts what is asked for; false, and nothing is counted, if that would be more than the limits (0: none) within the hour
 * that began with the user's first. */
bool usage_take(struct usage *u, struct bytes user, uint32_t messages, uint32_t recipients, uint32_t max_messages,
    uint32_t max_recipients, uint64_t now_ms);
