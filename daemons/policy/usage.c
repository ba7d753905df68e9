/* Counters of users.
 * Trusts auth for who a user is.
 * Never grows; a user forgotten for want of room begins a new hour. */
#include "policy/usage.h"

#define HOUR_MS (UINT64_C(3600) * 1000)

static uint64_t
key_of(struct bytes user)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < user.len; i++)
		h = (h ^ ascii_lower(user.at[i])) * UINT64_C(0x100000001b3);
	h = (h ^ h >> 32) * UINT64_C(0x9e3779b97f4a7c15);
	return h | 1;
}

static struct usage_slot *
slot_of(struct usage *u, uint64_t key, uint64_t now_ms)
{
	struct usage_slot *set = u->slots[key >> 32 & (USAGE_SETS - 1)], *oldest = &set[0];

	for (size_t i = 0; i < USAGE_WAYS; i++) {
		if (set[i].key == key && now_ms - set[i].began_ms < HOUR_MS)
			return &set[i];
		if (set[i].key == key || set[i].key == 0) {
			oldest = &set[i];
			break;
		}
		if (set[i].began_ms < oldest->began_ms)
			oldest = &set[i];
	}
	*oldest = (struct usage_slot){ .key = key, .began_ms = now_ms };
	return oldest;
}

bool
usage_take(struct usage *u, struct bytes user, uint32_t messages, uint32_t recipients, uint32_t max_messages,
    uint32_t max_recipients, uint64_t now_ms)
{
	struct usage_slot *s = slot_of(u, key_of(user), now_ms);

	if ((max_messages > 0 && messages > 0 && s->messages >= max_messages) ||
	    (max_recipients > 0 && recipients > 0 && s->recipients >= max_recipients))
		return false;
	s->messages += messages;
	s->recipients += recipients;
	return true;
}
