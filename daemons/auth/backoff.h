/* How long who has failed must wait, per account and per network, whatever connections it comes on. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#define BACKOFF_SETS 2048
#define BACKOFF_WAYS 4
#define BACKOFF_TOO_LONG UINT64_MAX

enum backoff_kind { BACKOFF_ACCOUNT, BACKOFF_NETWORK };

struct backoff_slot {
	uint64_t key;     /* 0: free */
	uint64_t failure; /* milliseconds, of the last one */
	uint64_t next;    /* when the next try may be made */
	uint64_t friend;  /* key of the network where this account last got in */
	uint32_t n;       /* failures, halved each BACKOFF_HALVES_MS */
};

/* Of fixed size: when it is full, what failed least goes. */
struct backoff {
	uint64_t seed[2];
	struct backoff_slot slots[BACKOFF_SETS][BACKOFF_WAYS];
};

enum result backoff_open(struct backoff *b, struct why *why);

/* Keys: of an account (any case); of a network: the /24 of 4 octets of address, the /64 of 16. Never 0. */
uint64_t backoff_account(const struct backoff *b, struct bytes name);
uint64_t backoff_network(const struct backoff *b, struct bytes address);

/* Takes a place in the line of this key, and counts a failure until backoff_succeeded; milliseconds until its turn.
 * BACKOFF_TOO_LONG: the line is too long, and no place was taken. `from`: the network that asks; one where the account last
 * got in need not stand in its line. */
uint64_t backoff_wait(struct backoff *b, enum backoff_kind kind, uint64_t key, uint64_t from, uint64_t now);

void backoff_succeeded(struct backoff *b, uint64_t account, uint64_t network, uint64_t now);
