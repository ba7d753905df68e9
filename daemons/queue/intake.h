/* New messages: conversations with clients (policy, and send for its reports) and the transactions in them. */
#pragma once

#include "queue/commit.h"
#include "queue/feed.h"
#include "wire/policy_queue.h"
#include "wire/port.h"

#define CLIENTS_MAX 64u
#define CLIENT_TRANSACTIONS_MAX 3072u /* so that nobody takes the place of all others */
#define CLIENT_BUCKETS 256u
#define DRAFTS_OCTETS_MAX (64u << 20) /* of envelopes that are not yet committed */

struct intake;

struct client {
	struct port port;
	struct intake *intake; /* null: this place is free */
	unsigned n_transactions;
	bool vital; /* the process ends with this conversation */
	struct transaction *buckets[CLIENT_BUCKETS];
};

struct intake {
	struct source door;
	struct client clients[CLIENTS_MAX];
	struct loop *loop;
	struct place *place;
	struct spares *spares;
	struct commits *commits;
	struct feed *feed;
	struct past *past;
	struct transaction *oldest, *newest; /* by id, until their answers */
	uint64_t last_id;
	unsigned n_transactions;
	size_t draft_octets;
	bool wants_end; /* a vital conversation ended */
};

/* Watches the door, and the conversation that is open from the start. */
enum result intake_open(struct intake *in, struct loop *loop, int door_fd, int bounces_fd, struct why *why);

/* The id, as a number, of the oldest message that has no answer yet: every message that has a lower one is flushed, or is not
 * there. */
uint64_t intake_open_from(const struct intake *in);

/* Of `commits`: what became of a transaction. */
void intake_committed(struct transaction *t, enum result r, const struct why *why);
