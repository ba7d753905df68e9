/* Connections out: several addresses of a host, tried with a short head start for each (RFC 8305). */
#pragma once

#include "base/bytes.h"
#include "base/result.h"

struct address {
	uint8_t len; /* 4 or 16 */
	uint8_t octets[16];
	bool tried; /* it failed, or was connected to */
};

#define ADDRESS_TEXT 64
void address_print(const struct address *a, char text[ADDRESS_TEXT]);

/* "192.0.2.1" or "2001:db8::1"; false if it is neither. */
bool address_parse(struct bytes text, struct address *a);

/* Whether mail for others can be at this address: not of this host, nor of no host or of many (loopback, unspecified,
 * link-local, multicast). */
bool address_is_foreign(const struct address *a);

struct dial_wish {
	uint16_t port;
	struct bytes local; /* address to come from, as text; empty: the kernel chooses */
	unsigned ms;        /* for each address */
};

/* Connects to one of the addresses that were not tried. OK: *which and *fd (non-blocking, the caller's). ABSENT: none is
 * left, *why tells of the last failure. MALFORMED: the local address is none of this host. */
enum result dial(struct address *list, size_t n, const struct dial_wish *w, size_t *which, int *fd, struct why *why);
