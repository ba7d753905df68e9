/* Names and addresses, asked for as libc does it, in a process of its own: what answers is the network, so the asking process
 * has given root up, may not take longer than it is told, and what it says is checked for its form. */
#pragma once

#include "base/buf.h"
#include "ucspi/address.h"

#include <sys/types.h>

#define LOOKUP_NAME_MAX 255
#define LOOKUP_ADDRESSES_MAX 16

struct lookup {
	uid_t uid; /* who asks, if this process is root */
	gid_t gid;
	unsigned seconds;
};

/* uid of the program, or nobody's if that is root. */
struct lookup lookup_as(uid_t uid, gid_t gid, unsigned seconds);

/* The name of an address, in lower case; "" if it has none, or no answer came. certain: only a name that has this address. */
void lookup_name(const struct lookup *l, const struct address *a, bool certain, char name[LOOKUP_NAME_MAX + 1]);

/* The addresses of a name; family AF_INET, AF_INET6 or AF_UNSPEC. *n 0: there are none. */
void lookup_addresses(
    const struct lookup *l, const char *name, int family, struct address all[LOOKUP_ADDRESSES_MAX], size_t *n);

/* What the peer's IDENT server (RFC 1413) says of a connection; "" if nothing. */
void lookup_ident(
    const struct lookup *l, const struct address *local, const struct address *remote, char user[LOOKUP_NAME_MAX + 1]);

/* The user in an answer of an IDENT server, "PORT , PORT : USERID : SYSTEM : USER" (RFC 1413 6); empty if it names none. */
struct bytes ident_user(struct bytes line);
