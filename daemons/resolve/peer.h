/* The names of an address that have this address. */
#pragma once

#include "resolve/resolver.h"

/* Asks for the names, then for the addresses of the first few; answers once, with those that fit, as RS_PTR. Same results
 * as resolver_ask. */
enum result peer_ask(struct resolver *r, const struct rs_peer *peer, resolver_answer *answer, void *ctx);
