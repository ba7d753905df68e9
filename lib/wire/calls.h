/* Open questions: who asked what over a channel, and until when an answer is waited for.
 * One table a channel. A reference is never used again, in 64 bits, so that a late answer finds nobody instead of somebody else. */
#pragma once

#include "sys/loop.h"
#include "wire/wire.h"

struct calls;
struct call;

/* Whoever asks: a member of what it belongs to (container_of gets back). All zero: it has asked nothing. */
struct caller {
	struct call *first;
};

enum call_end {
	CALL_ANSWERED,
	CALL_HEARD,   /* something was said about it, and more will follow under its reference */
	CALL_EXPIRED, /* nobody answered in time */
	CALL_BROKEN,  /* the channel ended */
};

/* What comes of a question: what was said (m as it came), or nothing (m is null). `what` is the caller's own mark of the question.
 * But for CALL_HEARD the caller does not wait for it any more. The callback may ask, forget, and end its caller. */
typedef void (*call_answer)(
    struct calls *c, struct caller *who, unsigned what, enum call_end how, struct wire_message *m);

struct calls {
	struct loop *loop;   /* null: there are no deadlines */
	size_t max, n, size; /* places: at most, taken, made */
	uint64_t n_asked;    /* ever */
	struct call **places;
	struct call *free, *oldest, *newest;
};

/* At most `max` questions are open at a time, at most 2^20. The memory is got as it is needed, and kept. */
struct calls calls_of(struct loop *loop, size_t max);
void calls_close(struct calls *c); /* nobody is told; callers are forgotten */

/* Opens a question. patience_ms 0: it waits without end. Returns its reference, for the message; 0 if there is no room. */
uint64_t calls_ask(struct calls *c, struct caller *who, unsigned what, call_answer then, uint64_t patience_ms);

/* The answer has come: calls back. False if nothing with that reference is open. The answer to a question that was forgotten, or
 * came too late, gives its place back, and nobody is called. */
bool calls_answered(struct calls *c, uint64_t ref, struct wire_message *m);

/* The same for what is not the last word: the question stays open, without a deadline until calls_renew sets one. */
bool calls_heard(struct calls *c, uint64_t ref, struct wire_message *m);
void calls_renew(struct calls *c, uint64_t ref, uint64_t patience_ms);

/* The question was not sent after all, or the other side was told to forget it: no answer is owed, the place is free. Fine if
 * nothing with that reference is open. */
void calls_withdraw(struct calls *c, uint64_t ref);

/* The caller waits for nothing any more, in whatever tables. Its questions keep their places until their answers have come, so that
 * the other side never has more than `max`. */
void calls_forget(struct caller *who);

/* Whether the caller waits for an answer. */
static inline bool
calls_wait(const struct caller *who)
{
	return who->first != NULL;
}

/* The channel has ended: calls back for all that is open now, not for what the callbacks ask of the next channel. */
void calls_broken(struct calls *c);
