/* Address lists of header fields (RFC 5322 3.4, with the obsolete forms that programs still write; RFC 6532). */
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/result.h"

#define ADDRESS_MAX 1024

struct address {
	struct bytes
	    text;   /* local part and, if given, @domain; without comments and blanks; a quoted string stays quoted */
	size_t end; /* where in the field's value it ends: where a missing domain belongs */
	bool has_domain;
};

typedef enum result address_take(void *ctx, const struct address *a, struct why *why);

/* Calls take for each mailbox of the list, members of groups included. MALFORMED, with what was expected, where, and the
 * text around it; or what take returned, if that was not OK. An empty list is OK. */
enum result address_list(struct bytes value, address_take *take, void *ctx, struct why *why);
