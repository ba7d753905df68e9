/* One message on its way in. doc/STATES Q1 to Q4. */
#pragma once

#include "queue/spares.h"
#include "store/store.h"
#include "sys/flush.h"

#define INTAKE_DOORS 5u
#define TRANSACTIONS_MAX (INTAKE_DOORS * 3072u) /* of all doors */

struct client;
struct door;

enum transaction_state {
	T_OPENING,  /* recipients come in */
	T_WRITING,  /* somebody has the descriptor of the content */
	T_FLUSHING, /* it has a name; the answer depends on the flush */
	T_ORPHAN,   /* given up, but somebody may still write to the file */
};

struct transaction {
	struct flush_job job;
	struct client *client;         /* null: gone */
	struct transaction *next_same; /* in its client's bucket, or among the orphans */
	struct transaction *older, *newer;
	enum transaction_state state;
	uint64_t ref;
	struct id id;
	uint64_t received_us;
	struct store_draft draft;
	size_t draft_octets; /* counted in the door's sum */
	int fd;              /* of an anonymous file; -1: none, or a spare */
	struct spare spare;  /* where that is used instead */
	uint64_t content_len;
	uint64_t order; /* of its flush */
	struct door *door;
};

static inline int
transaction_fd(const struct transaction *t)
{
	return t->spare.fd >= 0 ? t->spare.fd : t->fd;
}
