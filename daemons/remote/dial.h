/* Connections out: several addresses of a host, tried with a short head start for each (RFC 8305). */
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "net/host_address.h"

struct dial_wish {
	uint16_t port;
	struct bytes local; /* address to come from, as text; empty: the kernel chooses */
	unsigned ms;        /* for each address */
};

/* Connects to one of the addresses that were not tried. OK: *which and *fd (non-blocking, the caller's). ABSENT: none is
 * left, *why tells of the last failure. MALFORMED: the local address is none of this host. */
enum result dial(
    struct host_address *list, size_t n, const struct dial_wish *w, size_t *which, int *fd, struct why *why);
