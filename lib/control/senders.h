/* As whom a client may send (the item mailfromrules): keys as of connection rules, and the user's name; a list of senders
 * each (shared reference, section 2.9). */
#pragma once

#include "control/rules.h"

struct decoder;

/* The senders of the first key that is there: info, info@ip, info@=host, ip, =host, networks and prefixes, =.suffix, =, and
 * the empty key. OK, ABSENT, BROKEN. */
enum result senders_find(const struct control *c, const struct rules_query *q, struct bytes *senders);

/* Whether the sender is in the list: as a whole address, an @domain, a .suffix, or a domain with all below it. An empty list
 * has every sender. */
bool senders_have(struct bytes senders, struct bytes sender);

/* A line of the item, key&sender,sender; and a record of its cdb, whose data is +sender+sender. */
void decode_senders(struct decoder *d, struct bytes line);
void decode_senders_record(struct decoder *d, struct bytes key, struct bytes data);
