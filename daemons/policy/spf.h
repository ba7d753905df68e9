/* SPF of a session's sender: asked with the first recipient, as far as the rule wants it. */
#pragma once

#include "net/spf.h"
#include "policy/names.h"

struct spf_known;
struct client;
struct envelope;

/* A session's part. */
struct spf_state {
	bool runs;
	struct spf_known *known; /* answers, of this check only */
	unsigned n_known;
	size_t octets;
	uint8_t explanation_len;
	uint8_t explanation[240];
};

/* Begins the check of the sender in the envelope; its names are awaited, or the result is there at once. */
void spf_begin(struct policy *p, struct session *s);
void spf_answered(struct policy *p, struct session *s, unsigned n, const struct rs_answer *a, struct bytes tail);
void spf_end(struct session *s); /* forgets it */

/* The trace field Received-SPF (RFC 7208 9.1) of what was found; nothing if nothing was checked. */
void spf_put_trace(struct buf *text, const struct client *c, const struct envelope *e);
