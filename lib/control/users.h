/* Whose mail an address is: one answer for `policy` (does the mailbox exist?) and for `send` (where does it go?). */
#pragma once

#include "control/control.h"

#define USER_LOCAL_MAX 320 /* octets of a local part, prefix of a virtual domain included */

struct user {
	uint32_t uid, gid;
	struct bytes name;    /* of the account; informative */
	struct bytes home;    /* absolute */
	struct bytes maildir; /* relative to the home */
	struct bytes
	    extension;     /* what of the local part is not the user's own name; shows the room below or the table */
	struct bytes dash; /* "-" if there is an extension: qmail's .qmail file is `.qmail` dash extension */
	bool has_no_file;  /* who gets what no other user does has no .qmail file for this, as far as the table knows */
	bool is_virtual;   /* from virtualusers: the Maildir may be made if it is not there */
	struct bytes
	    key; /* of the row in the table of users, by which lspawn finds it in its own; shows the room below */
	struct bytes row;          /* its value, shows the table */
	enum user_refusal refusal; /* with REFUSED: why */
	uint8_t room[2 * USER_LOCAL_MAX], key_room[USER_LOCAL_MAX + 2];
};

/* The user with this local part, in users/assign, users/cdb, the host's accounts and aliasuser, without regard to case,
 * as qmail-lspawn looks it up: the whole, then each shorter prefix that ends in an octet of the wildcard set. REFUSED: there is
 * one, as whom lspawn would start nothing now: u->refusal says why; u is filled. ABSENT: nobody, or a local part with a slash, a control octet or more than USER_LOCAL_MAX octets. BROKEN: the table can't be read: nothing
 * may be concluded. */
enum result users_find(const struct control *c, struct bytes local, struct user *u);

enum user_route { ROUTE_LOCAL, ROUTE_REMOTE };

struct destination {
	enum user_route route;
	struct bytes domain;  /* ROUTE_REMOTE: to which to go; shows the address or the configuration */
	struct bytes address; /* for Delivered-To: with the virtual domain's prefix */
	struct user user;     /* ROUTE_LOCAL */
	uint8_t room[2 * USER_LOCAL_MAX + 256];
};

/* Where an envelope address goes (without brackets; a quoted local part counts as what it quotes), as qmail-send has it:
 * percenthack, envnoathost; virtualusers; locals; virtualdomains (address, domain, .suffixes, nothing). OK; ABSENT: the
 * domain is ours but nobody has that local part; REFUSED, BROKEN as above. "postmaster" (any case, with one of our domains or
 * none) goes to the item `postmaster` where no user has it. */
enum result users_route(const struct control *c, struct bytes address, struct destination *d);

/* The same for who answers whether there is such an address before its mail is taken: ABSENT also for what only the .qmail file of who
 * gets the rest could be for, and there is none. send asks that user's home itself, which may have one since. */
enum result users_route_now(const struct control *c, struct bytes address, struct destination *d);
