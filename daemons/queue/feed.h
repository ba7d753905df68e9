/* The conversation with `send`: what is there goes out, what became of it comes in. */
#pragma once

#include "queue/commit.h"
#include "queue/late.h"
#include "queue/proofs.h"
#include "wire/port.h"
#include "wire/queue_send.h"

#define FRESH_MAX (1u << 22) /* messages that `send` has not taken yet; then no new mail is accepted */

struct feed {
	struct port port;
	struct loop *loop;
	struct place *place;
	struct spares *spares;
	struct shelf *shelf;
	struct commits *commits;
	struct past *past;
	struct proofs *proofs;
	struct late *late;
	uint32_t credit;
	uint64_t *fresh; /* numbers of committed messages not yet announced: a ring */
	size_t first, n, size;
	bool wants_end;
};

enum result feed_open(struct feed *f, struct loop *loop, int fd, struct why *why);

/* A message has been committed: announces it, now or when there is credit. */
void feed_fresh(struct feed *f, const struct id *id);

/* Proves a message that was there before this start, unless it is known to be whole, and waits for it. As store_prove; what
 * is MALFORMED has been set aside. */
enum result feed_prove(struct feed *f, const struct id *id, int fd, struct why *why);

/* What became of the proof of a message that `send` has asked for. */
void feed_proved(struct feed *f, struct proof *proof);

/* Makes room for one more in the ring. EXHAUSTED: `send` is too far behind. */
enum result feed_has_room(struct feed *f, struct why *why);

/* Whether one that was found may be announced now: fresh ones go first. */
bool feed_may_announce(const struct feed *f);

/* Announces a message whose file is open (fd stays the caller's). */
void feed_announce(struct feed *f, const struct id *id, bool fresh, int fd);

/* For an administrator. Failures end the conversation when the loop sees it. */
void feed_forget(struct feed *f, const struct id *id);
void feed_retry(struct feed *f, const struct id *id); /* null: all */
void feed_bounce(struct feed *f, const struct id *id);
