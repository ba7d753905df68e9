/* Inside the remote side of `send`: next hops, what waits for each, and the connections to them. */
#pragma once

#include "send/credentials.h"
#include "send/parking.h"
#include "send/send.h"
#include "wire/send_remote.h"
#include "wire/send_remote_door.h"

#define TRANSACTION_MAX 100 /* recipients: every peer takes so many (RFC 5321 4.5.3.1.8) */
#define TRIES_MAX 5         /* of a transaction whose connections came to nothing, before the schedule takes over */

/* What is said to a next hop in one go: a message and those of its recipients that go there. */
struct transaction {
	struct transaction *next; /* in its flow; of its message, while recipients may still join it; on a connection */
	struct message *message;
	struct next_hop *hop;
	struct task *first, *last;
	uint32_t n;
	uint64_t ref;
	uint64_t number; /* in the order in which they came */
	uint8_t n_tries;
	bool was_missed; /* a session that had served ended without an answer to it */
};

/* What waits for a next hop from those senders whose hash is the same. */
struct flow {
	struct flow *next; /* in a ring */
	uint32_t hash, n;
	struct transaction *first, *last;
	struct parking parked;
};

/* The flows of a next hop; each is served in turn. */
struct flows {
	struct flow *served; /* last; its next is the next in turn. Null: there is none */
	unsigned n;
	uint32_t n_waiting, n_parked; /* transactions; messages' numbers */
};

/* Why a next hop can't be had: what each of its messages is told. */
struct verdict {
	enum sd_outcome outcome;
	uint16_t enhanced[3];
	bool from_peer;
	char host[256];
	char text[WHY_MAX + 1];
};

struct connection;

struct next_hop {
	struct next_hop *chain, *next_waiting, *next_due;
	struct send *send;
	uint64_t hash;
	size_t tail_len, key_len;
	uint8_t *key; /* all that makes one connection another: struct rm_peer, its tail, credentials */
	struct flows flows;
	uint32_t n_in_hand;    /* transactions, waiting or given */
	uint64_t ref, n_asked; /* messages asked for again under that ref */
	struct connection *connections;
	unsigned n_connections, limit, n_good; /* good: since the limit was raised */
	bool shy;                              /* it has shown that it wants no more connections */
	uint64_t calm_until_ms;                /* the limit stays as it is */
	unsigned n_lost;                       /* connections that broke in a message, in a row */
	unsigned n_bad;                        /* connections that came to nothing since it served */
	uint64_t served_ms;                    /* last; 0: never */
	unsigned n_failed;                     /* in a row */
	uint64_t until_ms;                     /* left alone; 0: not */
	struct verdict *verdict;               /* of the last failure */
	bool condemned;                        /* what waits gets the verdict */
	struct timer timer;                    /* for its end, once nothing is left of it but that */
	bool waits;                            /* for a connection to become free */
	bool is_due;                           /* to be looked at before the loop waits */
};

/* ---- hops.c ---- */

const struct rm_peer *hop_peer(const struct next_hop *h);
struct bytes hop_tail(const struct next_hop *h);
/* What its connections may have of what only this process has; all but `conn`. */
struct access hop_access(const struct next_hop *h);
struct bytes hop_name(const struct next_hop *h);
uint64_t hop_not_before_s(const struct next_hop *h); /* it is left alone until then; 0: not */
void hop_is_due(struct next_hop *h);                 /* something changed: it is looked at before the loop waits */

/* A message passed, or failed for a reason of its own. */
void hop_succeeded(struct next_hop *h);
/* It wants fewer connections than it has. */
void hop_shrink(struct next_hop *h);
/* A connection to it came to nothing. Whether it may be tried again at once: not often, and only if it served of late. */
bool hop_may_try_again(struct next_hop *h);
/* It can't be had: what waits for it gets this verdict (copied); if that is temporary, so does what comes in a while. */
void hop_failed(struct next_hop *h, const struct verdict *v);
/* This host could not deliver to it, which does not count against it: what waits gets this verdict, and it is left alone for a
 * minute, so that no connection is opened to it for each message. */
void hop_put_off(struct next_hop *h, const struct verdict *v);

/* ---- flows.c ---- */

/* The flow of m's sender; made if need be. Null: no memory. */
struct flow *flow_of(struct flows *f, const struct message *m);
void flow_append(struct flows *f, struct flow *flow, struct transaction *t);
void flow_put_back(struct flows *f, struct flow *flow, struct transaction *t); /* where it was */
bool flow_park(struct flows *f, struct flow *flow, const struct id *id);       /* false: no memory */

/* The next of the sender whose turn it is; null: none waits. */
struct transaction *flows_next(struct flows *f);
struct id flows_next_parked(struct flows *f); /* there must be one */
void flows_free(struct flows *f);             /* those with nothing in them */

/* ---- transactions.c ---- */

/* Puts what a connection did not try back in line. Counted: it was the connection that came to nothing. After too many
 * of these, and if there is no memory, its recipients are deferred with that text. */
void transaction_put_back(struct transaction *t, bool counted, const char *text);
/* Ends it: each recipient that has no answer of its own gets this one. */
void transaction_settle(struct transaction *t, const struct verdict *v, const struct delivery_facts *facts);

/* Takes out the recipients that the peer would take in another transaction, and returns that one. Null: there are none, or only such,
 * so that a peer that takes nobody is not asked again at once. */
struct transaction *transaction_split(struct transaction *t);
void verdict_say(struct verdict *v, const char *text); /* cut to its room */

/* ---- connections.c ---- */

struct connection {
	struct connection *next;          /* of the next hop */
	struct connection *newer, *older; /* of those that have nothing to do */
	struct next_hop *to;
	struct port port;
	struct timer timer; /* idle, or stalled */
	struct id conn;
	struct transaction *first, *last; /* given, in their order */
	unsigned n_given;
	struct credentials credentials;
	uint64_t last_ref, n_served;
	uint64_t since_ms; /* the first of them is at work */
	bool idles;
	bool closing; /* it takes no more */
};

/* Gives what waits to connections, opens more as the limits allow. */
void connections_pump(struct next_hop *h);
/* Next hops that wait for a connection to become free: the first of them has its turn. False: none can. */
bool connections_take_turns(struct send *s);
bool connections_serve(const struct next_hop *h, const struct connection *but); /* another one has served */
/* Closes it, if it is open, and puts what it has not tried back in line. */
void connection_finish(struct connection *c, const char *text);
/* After an answer: on with the next, or its end. */
void connection_go_on(struct connection *c);

/* ---- give.c ---- */

/* Sends the transaction under its ref. As port_send. */
enum result connection_give(struct connection *c, const struct transaction *t, struct why *why);

/* ---- answers.c ---- */

enum result connection_answered(struct port *p, struct wire_message *m, struct why *why);
/* Its channel has ended, as no session should end. */
void connection_ended(struct port *p, enum result r, struct why *why);
