/* From content that has been written to a message that is on disk: proof, envelope, name, flush, answer. */
#pragma once

#include "queue/shelf.h"
#include "queue/transaction.h"
#include "sys/loop.h"
#include "wire/policy_queue.h"

struct feed;

struct commits {
	struct source done; /* the flusher's event descriptor */
	struct flush flush;
	struct place *place;
	struct spares *spares;
	struct shelf *shelf;
	struct feed *feed;
	struct flush_job *chain, **chain_end; /* for the next group */
	unsigned n_flushing;
	uint64_t begun, finished; /* flushes, in order; see spares_take */
	uint64_t n_answered;      /* messages that were flushed */
};

/* Starts the flushers; `groups`: see flush_may_trust_groups. */
enum result commits_open(struct commits *c, struct loop *loop, bool groups, struct why *why);

/* Makes a file for a transaction whose envelope is complete, and *writer: a description of its own, for writing only, at
 * the place of the content. The caller closes it. */
enum result commit_prepare(struct commits *c, struct transaction *t, int *writer, struct why *why);

/* Everything up to the name; the flush follows with commits_submit. OK: intake_committed will be called. Else the
 * transaction has no name, and is the caller's to abandon. */
enum result commit_begin(struct commits *c, struct transaction *t, const struct pq_commit *said, struct why *why);

/* Hands the group that has gathered to the flushers; call when the loop is about to wait. */
void commits_submit(struct commits *c);

/* What a file that becomes a spare now must wait for; see spares_take. */
uint64_t commits_order(const struct commits *c);

/* Gives up a transaction's file before it has a name. */
void commit_abandon(struct commits *c, struct transaction *t);
