/* Addresses of hosts that mail may be sent to. */
#pragma once

#include "base/bytes.h"

struct host_address {
	uint8_t len; /* 4 or 16 */
	uint8_t octets[16];
	bool tried; /* it failed, or was connected to */
};

#define HOST_ADDRESS_TEXT 64
void host_address_print(const struct host_address *a, char text[HOST_ADDRESS_TEXT]);

/* "192.0.2.1" or "2001:db8::1"; false if it is neither. */
bool host_address_parse(struct bytes text, struct host_address *a);

/* Whether mail for others can be at this address: not of this host, nor of no host or of many (loopback, unspecified,
 * link-local, multicast). */
bool host_address_is_foreign(const struct host_address *a);
