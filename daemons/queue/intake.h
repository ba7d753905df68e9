/* New messages: conversations with clients (policy, and send for its reports) and the transactions in them. */
#pragma once

#include "queue/commit.h"
#include "queue/feed.h"
#include "wire/policy_queue.h"
#include "wire/port.h"

/* Bounds of each door. Those of all doors together fit into the process's limit of descriptors, so that no service can take
 * another's place: two for each transaction (its file, and its writer while that waits to be sent), and some hundreds. */
#define DOOR_CLIENTS_MAX 16u
#define DOOR_TRANSACTIONS_MAX (TRANSACTIONS_MAX / INTAKE_DOORS)
#define DOOR_DRAFTS_MAX (32u << 20) /* octets of envelopes that are not yet committed */
#define CLIENT_BUCKETS 256u

struct intake;
struct door;

struct client {
	struct port port;
	struct door *door; /* null: this place is free */
	unsigned n_transactions;
	struct transaction *buckets[CLIENT_BUCKETS];
};

/* Where conversations of one service come in; the first one is send's, for reports, and has no door. */
struct door {
	struct source source;
	struct intake *intake;
	struct client clients[DOOR_CLIENTS_MAX];
	unsigned n_transactions; /* abandoned ones, too, until nobody can write to their files any more */
	size_t draft_octets;
};

struct intake {
	struct door doors[INTAKE_DOORS];
	struct loop *loop;
	struct timer orphans_due;
	struct transaction *orphans; /* abandoned, and somebody has the content's descriptor */
	struct place *place;
	struct spares *spares;
	struct commits *commits;
	struct feed *feed;
	struct past *past;
	struct transaction *oldest, *newest; /* by id, until their answers */
	uint64_t last_id;
	bool wants_end; /* a vital conversation ended */
};

/* Watches the doors of the services, INTAKE_DOORS - 1, and the conversation that is open from the start: reports_fd. That one
 * is vital: the process ends with it. */
enum result intake_open(struct intake *in, struct loop *loop, int reports_fd, const int *door_fds, struct why *why);

/* The id, as a number, of the oldest message that has no answer yet: every message that has a lower one is flushed, or is not
 * there. */
uint64_t intake_open_from(const struct intake *in);

/* Of `commits`: what became of a transaction. */
void intake_committed(struct transaction *t, enum result r, const struct why *why);
