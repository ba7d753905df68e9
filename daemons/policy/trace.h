/* The Received field (RFC 5321 4.4). */
#pragma once

#include "policy/client.h"
#include "policy/envelope.h"

/* Appends the field, folded, each line ended by CRLF, without the message's id; *id_at: where that is to be inserted. */
void trace_put(struct buf *text, const struct client *c, const struct envelope *e, uint64_t now_s, size_t *id_at);
