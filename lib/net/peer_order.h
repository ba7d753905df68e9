/* Where mail for another host goes and what is demanded there, out of the tables: one answer for `send`, which tells it to
 * `remote`, and for who wants to know beforehand. */
#pragma once

#include "control/route.h"
#include "control/tls_policy.h"
#include "net/domain.h"
#include "wire/send_remote.h"

#define PEER_SENDER_MAX 600

/* What is found shows the configuration, the caller's octets and the rooms: it is not to be copied. */
struct peer_order {
	struct rm_peer peer; /* all but `conn` */
	struct bytes destination, helo, ca, ciphers, certificate;
	struct mail_route route;
	struct local_side side;
	struct tls_policy policy;
	struct bytes policy_host; /* whose policy it is: the relay, or the destination */
	uint8_t destination_room[DOMAIN_MAX + 2], sender_room[PEER_SENDER_MAX];
};

/* sender: the reverse-path without brackets, empty for reports; domain: the recipient's, as it came. OK; MALFORMED: the
 * domain can't be looked up; AGAIN: the route is one that can't be gone now; BROKEN: a table can't be read, and
 * nothing may be concluded. */
enum result peer_order_find(
    const struct control *c, struct bytes sender, struct bytes domain, struct peer_order *o, struct why *why);

/* The names by which hosts know this one, as fields. */
void peer_own_names(const struct control *c, struct buf *names);

/* The tail of RM_PEER; *tail fails if there is no room. */
void peer_order_put(const struct peer_order *o, const struct control *c, struct buf *tail);
