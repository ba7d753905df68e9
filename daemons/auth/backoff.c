/* The memory of failures.
 * Trusts its own clock; names and addresses come from the network, so their hash has a seed.
 * Never grows, never locks an account: who knows the password waits at most BACKOFF_LINE_MS for others' failures, and not at
 * all where he got in before. */
#include "auth/backoff.h"

#include <sys/random.h>

#define BACKOFF_HALVES_MS (10u * 60 * 1000)
#define BACKOFF_LINE_MS 20000 /* of waiting tries */

/* After `free` failures the next tries are first_ms apart, doubling each `step` failures, at most most_ms. */
static const struct {
	uint32_t free, step;
	uint64_t first_ms, most_ms;
} manners[] = {
	[BACKOFF_ACCOUNT] = { 5, 1, 500, 10000 },
	[BACKOFF_NETWORK] = { 20, 8, 250, 5000 },
};

enum result
backoff_open(struct backoff *b, struct why *why)
{
	*b = (struct backoff){ .seed = { 0 } };
	if (getrandom(b->seed, sizeof b->seed, 0) != (ssize_t)sizeof b->seed)
		return why_errno(why, BROKEN, "no randomness");
	return OK;
}

static uint64_t
mix(uint64_t h)
{
	h = (h ^ h >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ h >> 27) * UINT64_C(0x94d049bb133111eb);
	return h ^ h >> 31;
}

static uint64_t
key_of(const struct backoff *b, uint64_t what, struct bytes octets)
{
	uint64_t h = b->seed[0] ^ what;

	for (size_t i = 0; i < octets.len; i++)
		h = mix(h ^ b->seed[1] ^ ascii_lower(octets.at[i]));
	return h | 1;
}

uint64_t
backoff_account(const struct backoff *b, struct bytes name)
{
	return key_of(b, 1, name);
}

uint64_t
backoff_network(const struct backoff *b, struct bytes address)
{
	uint8_t network[16];
	size_t n = address.len == 4 ? 3 : 8;

	for (size_t i = 0; i < n; i++)
		network[i] = address.at[i] ^ 0x55; /* not to be folded as a letter */
	return key_of(b, 2, bytes_of(network, n)) ^ (uint64_t)address.len << 1;
}

static struct backoff_slot *
find(struct backoff *b, uint64_t key)
{
	struct backoff_slot *set = b->slots[key >> 1 & (BACKOFF_SETS - 1)];

	for (size_t i = 0; i < BACKOFF_WAYS; i++)
		if (set[i].key == key)
			return &set[i];
	return NULL;
}

static void
fade(struct backoff_slot *s, uint64_t now)
{
	while (s->n > 0 && now - s->failure >= BACKOFF_HALVES_MS) {
		s->n /= 2;
		s->failure += BACKOFF_HALVES_MS;
	}
}

static struct backoff_slot *
find_or_make(struct backoff *b, uint64_t key, uint64_t now)
{
	struct backoff_slot *set = b->slots[key >> 1 & (BACKOFF_SETS - 1)], *s = find(b, key);

	if (s != NULL)
		return s;
	s = &set[0];
	for (size_t i = 0; i < BACKOFF_WAYS; i++) {
		fade(&set[i], now);
		if (set[i].n < s->n || (set[i].n == s->n && set[i].failure < s->failure))
			s = &set[i];
	}
	*s = (struct backoff_slot){ .key = key, .failure = now };
	return s;
}

static uint64_t
pause_of(enum backoff_kind kind, uint32_t n)
{
	uint64_t pause = manners[kind].first_ms;

	if (n < manners[kind].free)
		return 0;
	for (n -= manners[kind].free; n >= manners[kind].step && pause < manners[kind].most_ms; n -= manners[kind].step)
		pause *= 2;
	return pause < manners[kind].most_ms ? pause : manners[kind].most_ms;
}

uint64_t
backoff_wait(struct backoff *b, enum backoff_kind kind, uint64_t key, uint64_t from, uint64_t now)
{
	struct backoff_slot *s = find_or_make(b, key, now);
	uint64_t turn;

	if (kind == BACKOFF_ACCOUNT && s->friend == from)
		return 0;
	fade(s, now);
	turn = s->next > now ? s->next : now;
	if (turn - now > BACKOFF_LINE_MS)
		return BACKOFF_TOO_LONG;
	s->next = turn + pause_of(kind, s->n);
	s->n++; /* until it turns out to be none, so that many at once gain nothing */
	s->failure = now;
	return turn - now;
}

void
backoff_succeeded(struct backoff *b, uint64_t account, uint64_t network, uint64_t now)
{
	struct backoff_slot *of_account = find_or_make(b, account, now), *of_network = find(b, network);

	of_account->n = 0;
	of_account->next = 0;
	of_account->friend = network;
	if (of_network != NULL && of_network->n > 0)
		of_network->n--;
}
