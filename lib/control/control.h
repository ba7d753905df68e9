/* A process's own configuration: one sealed descriptor that holds its items, checked, and nothing else.
 * Made by control/source.h from text; here it is only looked up. What is found shows the mapped descriptor and lives
 * as long as it is open.
 *
 * The descriptor holds one cdb. Keys: an octet for the item, then 'v' (its value) or 'k' and a key of its table in
 * lower case. So a set of a million domains or users costs a look-up, not memory, and is read without a parser. */
#pragma once

#include "base/buf.h"
#include "control/schema.h"
#include "control/users_table.h"

#include <cdb.h>

#define CONTROL_KEY_MAX 1024 /* octets of a table's key */

struct control {
	struct cdb db;
	int fd;
	struct users_table users; /* where the process has one; newer ones take its place while it runs */
};
#define CONTROL_NONE ((struct control){ .fd = -1 })

/* Maps the descriptor (which stays the caller's to keep open) for the process of this name. MALFORMED if it was made
 * for another process or by another version; BROKEN if it can't be mapped. */
enum result control_open(struct control *c, int fd, const char *process, struct why *why);
void control_close(struct control *c); /* unmaps; does not close the descriptor */

/* Puts this table of users (the caller's descriptor, which may be closed then) in the place of the one before. What was found
 * in that one may not be used any longer. On failure nothing has changed. */
enum result control_take_users(struct control *c, int fd, struct why *why);

/* Values. An item that the process has no right to read is empty, 0. */
uint64_t control_number(const struct control *c, enum control_item item);   /* KIND_NUMBER; KIND_BOOL: 0 or 1 */
struct bytes control_text(const struct control *c, enum control_item item); /* one line, in its checked form */

/* Lists in their order: `struct bytes at = control_lines(c, item), line; while (control_next_line(&at, &line))`. */
struct bytes control_lines(const struct control *c, enum control_item item);
bool control_next_line(struct bytes *at, struct bytes *line);

/* The value of a key (compared without regard to case) in an item's table. OK; ABSENT; BROKEN: the table can't be
 * read, and the caller must not conclude anything. */
enum result control_find(const struct control *c, enum control_item item, struct bytes key, struct bytes *value);
/* The same with the key taken as it is. */
enum result control_find_exact(const struct control *c, enum control_item item, struct bytes key, struct bytes *value);

/* Whether a domain, or a .suffix of it, is in a KIND_DOMAINS set. OK, ABSENT, BROKEN. */
enum result control_find_domain(const struct control *c, enum control_item item, struct bytes domain);

/* Whether an address (4 or 16 octets, network order) is in a KIND_NETWORKS list. */
bool control_in_networks(const struct control *c, enum control_item item, const uint8_t *address, size_t len);

/* Where to listen: the next of a KIND_ENDPOINTS list. */
enum endpoint_kind { ENDPOINT_IPV4 = 4, ENDPOINT_IPV6 = 6, ENDPOINT_UNIX = 1 };
struct endpoint {
	enum endpoint_kind kind;
	uint16_t port;
	uint8_t address[16]; /* network order; the first 4 for IPv4 */
	struct bytes path;   /* ENDPOINT_UNIX: absolute, at most 107 octets, no zero */
};
bool control_next_endpoint(struct bytes *at, struct endpoint *e);

/* KIND_OWNER: false if the item is empty. */
struct control_owner {
	uint32_t uid, gid;
	struct bytes home;
};
bool control_owner(const struct control *c, enum control_item item, struct control_owner *owner);
