/* Next hops: what waits for each, how many connections it may have, when it is left alone.
 * Trusts remote for what became of the transactions that it was given.
 * Never lets one of them take the room of all, never asks a dead host once for each message. */
#include "send/hops.h"

#include "base/secret.h"
#include "net/peer_order.h"
#include "sys/clock.h"
#include "sys/log.h"

#include <stdlib.h>
#include <string.h>

#define N_CHAINS 1024
#define HOP_REF (UINT64_C(1) << 63) /* in the ref of a QS_FETCH: those of lines have it not */
#define KEY_MAX 8192
enum { DESTINATION_FIELD, RELAY_FIELD, CA_FIELD = 4, CIPHERS_FIELD, CERTIFICATE_FIELD }; /* of RM_PEER */
#define FLOW_LEAST 2               /* transactions that a sender may always have in line */
#define SHARE_LEAST 8              /* that a next hop may always have in hand */
#define ASK_AT_ONCE 64             /* messages asked for at a time */
#define FIRST_CONNECTIONS 2        /* before it has shown what it takes */
#define OF_LATE_MS UINT64_C(60000) /* one that served is not given up at its first failure */
#define BAD_MAX 3
#define CALM_MS UINT64_C(60000)     /* after it wanted fewer: then they may be more again */
#define BACK_OFF_MS UINT64_C(60000) /* after the first failure, doubled with each that follows */
#define BACK_OFF_MAX_MS UINT64_C(3600000)
#define REMEMBER_MS UINT64_C(3600000) /* that it failed, after it may be tried again */
#define REMEMBERED_MAX 10000
#define CONDEMNED_A_TURN 500 /* recipients, before others have their turn */

static struct next_hop *chains[N_CHAINS];
static struct next_hop *due_first, *due_last;
static uint64_t last_ref;
static uint32_t n_remembered;

static uint64_t
hash_of(struct bytes key)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < key.len; i++)
		h = (h ^ key.at[i]) * UINT64_C(0x100000001b3);
	return h ^ h >> 32;
}

const struct rm_peer *
hop_peer(const struct next_hop *h)
{
	return (const void *)h->key;
}

struct bytes
hop_tail(const struct next_hop *h)
{
	return bytes_of(h->key + sizeof(struct rm_peer), h->tail_len);
}

struct access
hop_access(const struct next_hop *h)
{
	struct bytes rest = bytes_skip(bytes_of(h->key, h->key_len), sizeof(struct rm_peer) + h->tail_len);
	struct access a = { .plain = hop_peer(h)->auth_plain != 0 };
	struct bytes tail[RM_PEER_FIELDS];

	a.peer = hop_peer(h);
	if (wire_take_all(hop_tail(h), tail, RM_PEER_FIELDS)) {
		a.destination = tail[DESTINATION_FIELD];
		a.relay = tail[RELAY_FIELD];
		a.ca = tail[CA_FIELD];
		a.ciphers = tail[CIPHERS_FIELD];
		a.certificate = tail[CERTIFICATE_FIELD];
	}
	(void)wire_take(&rest, &a.user);
	(void)wire_take(&rest, &a.password);
	return a;
}

struct bytes
hop_name(const struct next_hop *h)
{
	struct bytes tail = hop_tail(h), name = BYTES_NONE, relay = BYTES_NONE;

	(void)wire_take(&tail, &name);
	(void)wire_take(&tail, &relay);
	return relay.len > 0 ? relay : name;
}

/* ---- its end ---- */

static void
free_hop(struct next_hop *h)
{
	struct next_hop **link = &chains[h->hash % N_CHAINS];

	while (*link != h)
		link = &(*link)->chain;
	*link = h->chain;
	flows_free(&h->flows);
	free(h->verdict);
	secret_wipe(h->key, h->key_len); /* it has the password */
	free(h->key);
	free(h);
}

static void
forgotten(struct loop *loop, struct timer *t)
{
	(void)loop;
	n_remembered--;
	free_hop(container_of(t, struct next_hop, timer));
}

static void
hop_forget(struct next_hop *h)
{
	struct loop *loop = &h->send->loop;

	if (h->n_in_hand > 0 || h->flows.n_parked > 0 || h->n_asked > 0 || h->n_connections > 0 || h->waits ||
	    h->is_due || h->timer.slot != 0)
		return;
	if (h->n_failed > 0 && n_remembered < REMEMBERED_MAX &&
	    loop_at(loop, &h->timer, (h->until_ms > loop->now ? h->until_ms : loop->now) + REMEMBER_MS) == OK) {
		flows_free(&h->flows);
		n_remembered++;
	} else
		free_hop(h);
}

/* It has something to do again. */
static void
recall(struct next_hop *h)
{
	if (h->timer.slot == 0)
		return;
	loop_cancel(&h->send->loop, &h->timer);
	n_remembered--;
}

/* ---- parked messages ---- */

/* As many as there is room left for others. */
static uint32_t
share(const struct send *s)
{
	uint32_t room = s->n_in_hand < s->in_hand_max ? s->in_hand_max - s->n_in_hand : 0;

	return room > SHARE_LEAST ? room : SHARE_LEAST;
}

static void
ask_for_parked(struct next_hop *h)
{
	uint32_t room = share(h->send) / 2;

	if (h->n_asked > 0)
		return;
	while (h->flows.n_parked > 0 && h->n_asked < ASK_AT_ONCE && h->n_in_hand + h->n_asked < room) {
		struct id id = flows_next_parked(&h->flows);

		h->n_asked++;
		send_fetch(h->send, &id, h->ref);
	}
}

bool
hops_asked(uint64_t ref)
{
	return (ref & HOP_REF) != 0;
}

void
hops_answered(uint64_t ref)
{
	for (struct next_hop *h = chains[ref % N_CHAINS]; h != NULL; h = h->chain)
		if (h->ref == ref && h->n_asked > 0) {
			if (--h->n_asked == 0)
				hop_is_due(h);
			return;
		}
}

/* They come again when it may be tried again. */
static void
drop_parked(struct next_hop *h)
{
	struct loop *loop = &h->send->loop;
	uint64_t due_s = clock_wall_s() + 1 + (h->until_ms > loop->now ? (h->until_ms - loop->now) / 1000 : 0);

	while (h->flows.n_parked > 0) {
		struct id id = flows_next_parked(&h->flows);

		(void)waiting_add(h->send, &id, due_s);
	}
}

/* ---- how it fares ---- */

void
hop_succeeded(struct next_hop *h)
{
	h->n_failed = h->n_lost = h->n_bad = 0;
	h->until_ms = 0;
	h->served_ms = h->send->loop.now;
	if (h->limit >= h->send->max_connections || h->calm_until_ms > h->send->loop.now)
		return;
	if (h->shy && ++h->n_good < h->limit)
		return;
	h->n_good = 0;
	h->limit++;
}

bool
hop_may_try_again(struct next_hop *h)
{
	return h->served_ms > 0 && h->send->loop.now - h->served_ms < OF_LATE_MS && ++h->n_bad < BAD_MAX;
}

void
hop_shrink(struct next_hop *h)
{
	h->shy = true;
	h->n_good = 0;
	h->calm_until_ms = h->send->loop.now + CALM_MS;
	if (h->limit >= h->n_connections)
		h->limit = h->n_connections > 1 ? h->n_connections - 1 : 1;
}

static void
log_failed(const struct next_hop *h, uint64_t wait_ms)
{
	struct log_line l;

	log_begin(&l, SEVERITY_WARNING, "peer-failed");
	log_bytes(&l, "to", hop_name(h));
	log_number(&l, "failures", h->n_failed);
	log_number(&l, "alone_s", wait_ms / 1000);
	log_number(&l, "waiting", h->flows.n_waiting + h->flows.n_parked);
	log_text(&l, "host", h->verdict != NULL ? h->verdict->host : "");
	log_text(&l, "why", h->verdict != NULL ? h->verdict->text : "");
	log_end(&l);
}

static uint64_t
back_off_ms(const struct next_hop *h)
{
	uint64_t ms = BACK_OFF_MS << (h->n_failed < 6 ? h->n_failed : 6);

	return ms < BACK_OFF_MAX_MS ? ms : BACK_OFF_MAX_MS;
}

static bool
set_verdict(struct next_hop *h, const struct verdict *v)
{
	if (h->verdict == NULL && (h->verdict = malloc(sizeof *h->verdict)) == NULL)
		return false;
	*h->verdict = *v;
	return true;
}

void
hop_failed(struct next_hop *h, const struct verdict *v)
{
	uint64_t wait_ms = v->outcome == SD_TEMPORARY ? back_off_ms(h) : 0;

	if (h->until_ms > h->send->loop.now)
		return; /* a connection opened before the one that told */
	h->n_failed++;
	h->n_lost = 0;
	h->limit = 1;
	h->n_good = 0;
	h->until_ms = wait_ms > 0 ? h->send->loop.now + wait_ms : 0;
	h->condemned = set_verdict(h, v);
	log_failed(h, wait_ms);
	drop_parked(h);
	hop_is_due(h);
}

void
hop_put_off(struct next_hop *h, const struct verdict *v)
{
	struct log_line l;

	if (h->until_ms > h->send->loop.now)
		return;
	h->until_ms = h->send->loop.now + BACK_OFF_MS;
	h->condemned = set_verdict(h, v);
	log_begin(&l, SEVERITY_ERROR, "put-off");
	log_bytes(&l, "to", hop_name(h));
	log_number(&l, "alone_s", BACK_OFF_MS / 1000);
	log_number(&l, "waiting", h->flows.n_waiting + h->flows.n_parked);
	log_text(&l, "why", v->text);
	log_end(&l);
	drop_parked(h);
	hop_is_due(h);
}

void
hops_retry(void)
{
	for (size_t i = 0; i < N_CHAINS; i++)
		for (struct next_hop *h = chains[i]; h != NULL; h = h->chain)
			h->until_ms = 0;
}

/* ---- its turn ---- */

void
hop_is_due(struct next_hop *h)
{
	if (h->is_due)
		return;
	h->is_due = true;
	h->next_due = NULL;
	*(due_last != NULL ? &due_last->next_due : &due_first) = h;
	due_last = h;
}

uint64_t
hop_not_before_s(const struct next_hop *h)
{
	uint64_t now = h->send->loop.now;

	return h->until_ms > now ? clock_wall_s() + 1 + (h->until_ms - now) / 1000 : 0;
}

/* What waits gets the verdict; false: there is more of it. */
static bool
condemn(struct next_hop *h, uint32_t *room)
{
	struct verdict v = *h->verdict;
	struct delivery_facts facts = {
		.host = bytes_of_string(v.host), .from_peer = v.from_peer, .not_before_s = hop_not_before_s(h)
	};
	struct transaction *t;

	while (*room > 0 && (t = flows_next(&h->flows)) != NULL) {
		*room = *room > t->n ? *room - t->n : 0;
		transaction_settle(t, &v, &facts);
	}
	return h->flows.n_waiting == 0;
}

static void
go_on(struct next_hop *h, uint32_t *room)
{
	bool alone = h->verdict != NULL && (h->condemned || h->until_ms > h->send->loop.now);

	if (!alone)
		connections_pump(h);
	else if (condemn(h, room))
		h->condemned = false;
	else
		hop_is_due(h);
	ask_for_parked(h);
	if (h->flows.n_waiting == 0 && h->flows.n_parked == 0)
		flows_free(&h->flows);
	hop_forget(h);
}

void
hops_go_on(struct send *s)
{
	uint32_t room = CONDEMNED_A_TURN;

	do {
		while (due_first != NULL && room > 0) {
			struct next_hop *h = due_first;

			due_first = h->next_due;
			if (due_first == NULL)
				due_last = NULL;
			h->is_due = false;
			go_on(h, &room);
		}
	} while (room > 0 && connections_take_turns(s));
	s->loop.hurry |= due_first != NULL;
}

/* ---- new mail ---- */

static struct next_hop *
find(struct bytes key, uint64_t hash)
{
	for (struct next_hop *h = chains[hash % N_CHAINS]; h != NULL; h = h->chain)
		if (h->hash == hash && bytes_equal(bytes_of(h->key, h->key_len), key))
			return h;
	return NULL;
}

static struct next_hop *
make(struct send *s, struct bytes key, uint64_t hash, size_t tail_len)
{
	struct next_hop *h = calloc(1, sizeof *h);

	if (h == NULL || (h->key = malloc(key.len)) == NULL) {
		free(h);
		return NULL;
	}
	memcpy(h->key, key.at, key.len);
	h->key_len = key.len;
	h->tail_len = tail_len;
	h->hash = hash;
	h->send = s;
	h->timer.due = forgotten;
	h->limit = s->max_connections < FIRST_CONNECTIONS ? s->max_connections : FIRST_CONNECTIONS;
	h->ref = HOP_REF | ++last_ref * N_CHAINS | hash % N_CHAINS;
	h->chain = chains[hash % N_CHAINS];
	chains[hash % N_CHAINS] = h;
	return h;
}

/* Whether another transaction of m may be in hand; if not, its number is kept. */
static enum lines_answer
take(struct next_hop *h, const struct message *m)
{
	struct flow *flow = flow_of(&h->flows, m);

	if (flow == NULL)
		return LINES_NO_MEMORY;
	if (flow->n < FLOW_LEAST || h->n_in_hand < share(h->send) || h->condemned || h->until_ms > h->send->loop.now)
		return LINES_TAKEN;
	return flow_park(&h->flows, flow, &m->id) ? LINES_FULL : LINES_NO_MEMORY;
}

/* RM_PEER as it is said but for its conn, which is all zero, and then what is not said to remote. */
static enum result
find_key(
    struct send *s, const struct message *m, struct bytes domain, struct buf *key, size_t *tail_len, struct why *why)
{
	struct peer_order o;
	enum result r = peer_order_find(s->control, m->store.reverse, domain, &o, why);

	if (r != OK)
		return r;
	if (o.peer.is_relay)
		o.destination = o.route.relay; /* one connection for all domains that it takes */
	buf_add(key, bytes_of(&o.peer, sizeof o.peer));
	peer_order_put(&o, s->control, key);
	*tail_len = key->len - sizeof o.peer;
	wire_put(key, o.route.user);
	wire_put(key, o.route.password);
	return buf_result(key) == OK ? OK : why_set(why, EXHAUSTED, "too much to be said of the next hop");
}

enum lines_answer
hop_find(struct send *s, const struct message *m, struct bytes domain, struct next_hop **found, struct why *why)
{
	uint8_t room[KEY_MAX];
	struct buf key = BUF_OVER(room);
	struct next_hop *h;
	size_t tail_len = 0;
	uint64_t hash;
	enum result r = find_key(s, m, domain, &key, &tail_len, why);

	if (r != OK)
		return r == MALFORMED ? LINES_NOWHERE : LINES_UNKNOWN;
	hash = hash_of(buf_bytes(&key));
	h = find(buf_bytes(&key), hash);
	if (h == NULL)
		h = make(s, buf_bytes(&key), hash, tail_len);
	secret_wipe(room, key.len);
	if (h == NULL)
		return LINES_NO_MEMORY;
	recall(h);
	if (m->urgent)
		h->until_ms = 0;
	*found = h;
	hop_is_due(h);
	return take(h, m);
}
