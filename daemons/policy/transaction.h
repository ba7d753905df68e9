/* The part of a message that queue has. */
#pragma once

#include "policy/policy.h"

void transactions_begin(struct policy *p); /* the line to queue is opened when it is first needed */
void transactions_look(struct policy *p);  /* asks queue how much room it has, now and then */

/* Opens a file for the envelope of s; the front end gets its descriptor, or a refusal. */
void transaction_open(struct policy *p, struct session *s);

/* Has the message kept; the front end is answered when queue has. */
void transaction_commit(struct policy *p, struct session *s, const struct sp_commit *said_octets);

/* Forgets envelope and file. */
void transaction_abort(struct policy *p, struct session *s);
