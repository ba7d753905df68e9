/* Connection rules: the text and keys of tcprules, IPv4 and IPv6 (shared reference, section 1.6). */
#pragma once

#include "control/control.h"

#define RULES_KEY_MAX 1024
#define RULES_DATA_MAX 4096

/* Takes one record of a rule; a line with a range has several. */
typedef enum result rules_put(void *ctx, struct bytes key, struct bytes data, struct why *why);

/* One line `address:allow|deny,NAME=qVALUEq…` (q: any octet not in the value), without blanks at its end, neither empty
 * nor a comment. MALFORMED with what was expected; or what put returned. */
enum result rules_compile(struct bytes line, rules_put *put, void *ctx, struct why *why);

struct rules_query {
	const uint8_t *address; /* network order; an IPv4-mapped address counts as IPv4 */
	size_t address_len;     /* 4 or 16; 0 for a peer without an address (a local program) */
	struct bytes host;      /* reverse name; at null if not known */
	struct bytes info;      /* name of the peer's user; at null if not known */
};

/* How a key is found: OK, ABSENT or BROKEN. */
typedef enum result rules_get(const void *ctx, struct bytes key, struct bytes *data);

/* The data of the first key that is there: info@ip, info@=host, ip, =host, a.b.c. a.b. a., the longest CIDR prefix,
 * =.suffix of the host (longest first), = if the host is known, and the empty key. ABSENT if none is: the connection
 * is allowed. *key, if not null, is cleared and gets the key. */
enum result rules_find(
    rules_get *get, const void *ctx, const struct rules_query *q, struct bytes *data, struct buf *key);

/* The same in the item `rules`. */
enum result rules_find_in(const struct control *c, const struct rules_query *q, struct bytes *data);

bool rules_data_is_valid(struct bytes data);
bool rules_denies(struct bytes data);

/* The next variable of a rule's data; start with *at the data. */
bool rules_next_variable(struct bytes *at, struct bytes *name, struct bytes *value);

/* The key forms, for both sides. */
void rules_put_ip(struct buf *key, const uint8_t *address, size_t len); /* IPv6 in full length */
void rules_put_cidr(struct buf *key, const uint8_t *address, size_t len, unsigned n_bits);
