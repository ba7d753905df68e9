/* SPF of a session's sender: asked with the first recipient, as far as the rule wants it. */
#pragma once

#include "net/spf.h"
#include "base/buf.h"

struct spf_known;
struct client;
struct envelope;

/* A session's part. */
struct spf_state {
	struct spf_known *known;  /* answers, of this check only */
	unsigned n_known, n_open; /* of them not answered yet */
	size_t octets;
	uint8_t explanation_len;
	uint8_t explanation[240];
};

struct session;
void spf_end(struct session *s); /* forgets a check that runs */

/* The trace field Received-SPF (RFC 7208 9.1) of what was found; nothing if nothing was checked. */
void spf_put_trace(struct buf *text, const struct client *c, const struct envelope *e);
