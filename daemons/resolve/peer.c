/* Reverse names, confirmed forwards.
 * Trusts no reverse name: whoever has an address can give it any.
 * Never asks for more than a few names of one address. */
#include "resolve/peer.h"

#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 4

struct peer {
	struct resolver *resolver;
	struct rs_peer asked;
	resolver_answer *answer;
	void *ctx;
	struct rs_answer result;
	uint8_t names[NAMES_MAX][256];
	uint8_t lens[NAMES_MAX];
	bool fits[NAMES_MAX];
	unsigned n_names, at;
};

static void
finish(struct peer *p)
{
	uint8_t room[NAMES_MAX * 260 + 8];
	struct buf tail = BUF_OVER(room);

	wire_put(&tail, BYTES_NONE);
	p->result.n = 0;
	for (unsigned i = 0; i < p->n_names; i++)
		if (p->fits[i]) {
			wire_put(&tail, bytes_of(p->names[i], p->lens[i]));
			p->result.n++;
		}
	p->result.type = RS_PTR;
	if (p->result.outcome == RS_FOUND && p->result.n == 0)
		p->result.outcome = RS_NO_DATA;
	p->answer(p->ctx, &p->result, buf_bytes(&tail));
	free(p);
}

static void ask_next(struct peer *p);

static void
forward(void *ctx, const struct rs_answer *a, struct bytes tail)
{
	struct peer *p = ctx;
	struct bytes record;
	size_t len = p->asked.family == 4 ? 4 : 16;

	(void)wire_take(&tail, &record); /* the canonical name */
	while (a->outcome == RS_FOUND && wire_take(&tail, &record))
		if (record.len == len && memcmp(record.at, p->asked.address, len) == 0)
			p->fits[p->at] = true;
	p->result.secure &= a->secure;
	p->at++;
	ask_next(p);
}

static void
ask_next(struct peer *p)
{
	while (p->at < p->n_names) {
		struct bytes name = { p->names[p->at], p->lens[p->at] };

		if (resolver_ask(p->resolver, p->asked.family == 4 ? RS_A : RS_AAAA, name, forward, p) == OK)
			return;
		p->at++;
	}
	finish(p);
}

static void
reversed(void *ctx, const struct rs_answer *a, struct bytes tail)
{
	struct peer *p = ctx;
	struct bytes record;

	p->result = *a;
	(void)wire_take(&tail, &record);
	while (p->n_names < NAMES_MAX && wire_take(&tail, &record)) {
		if (record.len == 0 || record.len > 255)
			continue;
		memcpy(p->names[p->n_names], record.at, record.len);
		p->lens[p->n_names++] = (uint8_t)record.len;
	}
	ask_next(p);
}

static void
put_reverse(const struct rs_peer *peer, struct buf *name)
{
	if (peer->family == 4) {
		buf_format(name, "%u.%u.%u.%u.in-addr.arpa", peer->address[3], peer->address[2], peer->address[1],
		    peer->address[0]);
		return;
	}
	for (size_t i = 16; i-- > 0;)
		buf_format(name, "%x.%x.", peer->address[i] & 15u, peer->address[i] >> 4);
	buf_add_string(name, "ip6.arpa");
}

enum result
peer_ask(struct resolver *r, const struct rs_peer *asked, resolver_answer *answer, void *ctx)
{
	uint8_t room[128];
	struct buf name = BUF_OVER(room);
	struct peer *p;
	enum result result;

	if (asked->family != 4 && asked->family != 6)
		return MALFORMED;
	p = calloc(1, sizeof *p);
	if (p == NULL)
		return EXHAUSTED;
	*p = (struct peer){ .resolver = r, .asked = *asked, .answer = answer, .ctx = ctx };
	put_reverse(asked, &name);
	result = resolver_ask(r, RS_PTR, buf_bytes(&name), reversed, p);
	if (result != OK)
		free(p);
	return result;
}
