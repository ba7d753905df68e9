/* Which hosts take a domain's mail, and in what order (RFC 5321 5.1, RFC 7505). */
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#define MX_MAX 16 /* hosts that are tried at most: those of the best preferences */
#define MX_NAME_MAX 255

struct mx {
	uint16_t preference;
	uint32_t turn;    /* random: the order among equals */
	bool is_unusable; /* the name can be no host's: such a host can't be reached */
	uint8_t len;
	char name[MX_NAME_MAX + 1];
};

struct mx_list {
	unsigned n;
	bool is_null; /* the domain takes no mail */
	bool is_me;   /* one of the hosts is this one; it and those that are no better are not in the list */
	struct mx hosts[MX_MAX];
};

/* From MX records as fields of 2 octets of preference and a name (wire/client_resolve.h). draw: a random number, called once a host.
 * own: this host's names, as fields. The list is in the order in which to try. */
void mx_order(struct mx_list *list, struct bytes records, struct bytes own, uint32_t (*draw)(void));
