/* Reading files whole, beside the event loop: a message from before this start is sent only after that. */
#pragma once

#include "queue/place.h"
#include "sys/loop.h"

#include <pthread.h>

#define PROOFS_MAX 64u /* at a time */
#define PROOF_THREADS 2u
#define PROOFS_KEPT 4096u /* messages that are known to be whole; of two in one place the later one */

struct proof {
	struct proof *next;
	struct id id;
	int fd;        /* of the message, read-only */
	bool is_asked; /* `send` has asked for it; else the scan has found it */
	uint64_t ref;  /* of the question */
	enum result r; /* of store_prove */
	struct why why;
};

struct proofs {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct proof all[PROOFS_MAX];
	struct proof *unused, *pending, **pending_end, *done;
	struct source ended; /* event descriptor */
	void (*answer)(void *context, struct proof *proof);
	void *context;
	uint64_t whole[PROOFS_KEPT];
};

/* Starts the threads. answer() gets each proof that has ended, in the loop; the descriptor is closed behind it. */
enum result proofs_open(struct proofs *p, struct loop *loop, void (*answer)(void *context, struct proof *proof),
    void *context, struct why *why);

/* Whether this message has been read whole already. */
bool proofs_know(const struct proofs *p, const struct id *id);

/* False if as many as may be are under way. */
bool proofs_have_room(const struct proofs *p);

/* Begins one; there must be room. `proof` has id, fd (taken), is_asked and ref. */
void proofs_begin(struct proofs *p, const struct proof *proof);
