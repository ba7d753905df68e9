/* Counting sessions by address and by network (IPv4 /24, IPv6 /64), of local programs by user.
 * Trusts nobody for a slot number: one that is not in use is refused.
 * Never allocates after its start, so that a flood cannot make it grow. */
#include "listen/counts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define NONE UINT32_MAX

struct entry {
	struct counts_peer key;
	uint8_t of_network;
	uint32_t n;    /* sessions; 0: free */
	uint32_t next; /* in its chain, or in the list of free entries */
};

struct session {
	bool used;
	uint32_t next_free;
	uint32_t address, network; /* entries; a user's session has no network */
};

struct counts {
	uint32_t max_all, max_address, max_network;
	uint32_t n, free_session, free_entry, mask;
	uint64_t seed;
	struct session *sessions;
	struct entry *entries;
	uint32_t *chains;
};

void
counts_free(struct counts *c)
{
	if (c == NULL)
		return;
	free(c->sessions);
	free(c->entries);
	free(c->chains);
	free(c);
}

static uint32_t
power_of_two(uint32_t n)
{
	uint32_t p = 16;

	while (p < n && p < (1u << 30))
		p *= 2;
	return p;
}

struct counts *
counts_open(uint32_t max_all, uint32_t max_address, uint32_t max_network)
{
	struct counts *c = calloc(1, sizeof *c);
	uint32_t n_chains = power_of_two(max_all);

	if (c == NULL)
		return NULL;
	c->max_all = max_all;
	c->max_address = max_address;
	c->max_network = max_network;
	c->mask = n_chains - 1;
	c->sessions = calloc(max_all, sizeof *c->sessions);
	c->entries = calloc((size_t)max_all * 2, sizeof *c->entries);
	c->chains = calloc(n_chains, sizeof *c->chains);
	if (c->sessions == NULL || c->entries == NULL || c->chains == NULL ||
	    getrandom(&c->seed, sizeof c->seed, 0) != sizeof c->seed) {
		counts_free(c);
		return NULL;
	}
	for (uint32_t i = 0; i < max_all; i++)
		c->sessions[i].next_free = i + 1 < max_all ? i + 1 : NONE;
	for (uint32_t i = 0; i < max_all * 2; i++)
		c->entries[i].next = i + 1 < max_all * 2 ? i + 1 : NONE;
	for (uint32_t i = 0; i < n_chains; i++)
		c->chains[i] = NONE;
	return c;
}

bool
counts_is_full(const struct counts *c)
{
	return c->n == c->max_all;
}

uint32_t
counts_sessions(const struct counts *c)
{
	return c->n;
}

static uint32_t
chain_of(const struct counts *c, const struct counts_peer *key, uint8_t of_network)
{
	uint64_t h = c->seed ^ of_network;

	for (size_t i = 0; i < sizeof key->address; i++)
		h = (h ^ key->address[i]) * UINT64_C(0x100000001b3);
	h ^= h >> 29;
	return (uint32_t)(h * UINT64_C(0x9e3779b97f4a7c15) >> 33) & c->mask;
}

/* the entry of a key, made if need be: there are twice as many as sessions */
static uint32_t
find(struct counts *c, const struct counts_peer *key, uint8_t of_network)
{
	uint32_t chain = chain_of(c, key, of_network), i;

	for (i = c->chains[chain]; i != NONE; i = c->entries[i].next)
		if (c->entries[i].of_network == of_network && memcmp(&c->entries[i].key, key, sizeof *key) == 0)
			return i;
	i = c->free_entry;
	c->free_entry = c->entries[i].next;
	c->entries[i] = (struct entry){ .key = *key, .of_network = of_network, .next = c->chains[chain] };
	c->chains[chain] = i;
	return i;
}

static void
release(struct counts *c, uint32_t i)
{
	struct entry *e = &c->entries[i];
	uint32_t *link;

	if (e->n > 0)
		return;
	link = &c->chains[chain_of(c, &e->key, e->of_network)];
	while (*link != i)
		link = &c->entries[*link].next;
	*link = e->next;
	e->next = c->free_entry;
	c->free_entry = i;
}

/* one session less */
static void
leave(struct counts *c, uint32_t i)
{
	if (i == NONE)
		return;
	c->entries[i].n--;
	release(c, i);
}

static struct counts_peer
network_of(const struct counts_peer *peer)
{
	struct counts_peer network = *peer;
	size_t kept = peer->family == 4 ? 3 : 8;

	memset(network.address + kept, 0, sizeof network.address - kept);
	return network;
}

static uint32_t
take_session(struct counts *c)
{
	uint32_t slot = c->free_session;

	c->free_session = c->sessions[slot].next_free;
	c->sessions[slot] = (struct session){ .used = true };
	c->n++;
	return slot;
}

/* One user's programs can't keep out those of all others. */
static enum result
begin_local(struct counts *c, const struct counts_peer *peer, uint32_t *slot, const char **over)
{
	static const uint8_t root[4] = { 0 };
	uint32_t user = NONE;

	if (memcmp(peer->address, root, sizeof root) != 0) {
		user = find(c, peer, 0);
		if (c->entries[user].n >= (c->max_all + 1) / 2) {
			*over = "user";
			return EXHAUSTED;
		}
		c->entries[user].n++;
	}
	*slot = take_session(c);
	c->sessions[*slot].address = user;
	c->sessions[*slot].network = NONE;
	return OK;
}

enum result
counts_begin(struct counts *c, const struct counts_peer *peer, uint32_t *slot, const char **over)
{
	struct counts_peer network = network_of(peer);
	uint32_t a, n;

	if (counts_is_full(c))
		return AGAIN;
	if (peer->family == 1)
		return begin_local(c, peer, slot, over);
	a = find(c, peer, 0);
	n = find(c, &network, 1);
	if (c->entries[a].n >= c->max_address || c->entries[n].n >= c->max_network) {
		*over = c->entries[a].n >= c->max_address ? "address" : "network";
		release(c, a);
		release(c, n);
		return EXHAUSTED;
	}
	c->entries[a].n++;
	c->entries[n].n++;
	*slot = take_session(c);
	c->sessions[*slot].address = a;
	c->sessions[*slot].network = n;
	return OK;
}

enum result
counts_end(struct counts *c, uint32_t slot)
{
	struct session *s;

	if (slot >= c->max_all || !c->sessions[slot].used)
		return MALFORMED;
	s = &c->sessions[slot];
	leave(c, s->address);
	leave(c, s->network);
	s->used = false;
	s->next_free = c->free_session;
	c->free_session = slot;
	c->n--;
	return OK;
}
