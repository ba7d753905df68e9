/* Where mail for other hosts goes: authsenders, qmtproutes, smtproutes, domainips, domaincerts. What is found shows the
 * configuration, `key` perhaps the caller's octets. */
#pragma once

#include "control/control.h"

struct mail_route {
	struct bytes relay;          /* a name or an address without brackets; empty: the domain's MX hosts */
	uint16_t port;               /* 0: that of the protocol */
	struct bytes user, password; /* empty: none */
	bool without_tls;            /* they may be said without TLS */
	bool qmtp;
	const char *table; /* that has the line, and the line's key: for explanations; null: there is none */
	struct bytes key;
};

/* sender: the reverse-path without brackets, empty for reports; domain: the recipient's, lower case, as A-labels. In this
 * order: authsenders by the whole address, its @domain, each .suffix, nothing; for reports `!@` of qmtproutes and
 * smtproutes; for the domain, each .suffix and nothing: qmtproutes, then smtproutes. OK, also if there is none (relay
 * empty); BROKEN: a table can't be read. */
enum result route_find(const struct control *c, struct bytes sender, struct bytes domain, struct mail_route *r);

/* How to log in at a relay (RFC 4954; the names as IANA has them). */
enum relay_mechanism { RELAY_PLAIN, RELAY_LOGIN, RELAY_CRAM_MD5, RELAY_SCRAM_SHA_256, N_RELAY_MECHANISMS };
extern const char *const relay_mechanism_names[N_RELAY_MECHANISMS];

/* The mechanisms that relaymechanisms names, as 1 << enum relay_mechanism, or-ed. 0: it names none, or a word is no mechanism. */
unsigned relay_mechanisms_of(struct bytes line);

struct local_side {
	struct bytes address; /* as text; empty: any */
	struct bytes helo;    /* empty: helohost */
};

/* domainips: by the sender's domain, each .suffix, then `*`. OK, also if there is no line; BROKEN. */
enum result route_local_side(const struct control *c, struct bytes sender, struct local_side *l);

/* The next line of a source's table (control/source.h) of smtproutes, qmtproutes or authsenders, for who looks at all. */
bool route_next(struct bytes *table, struct bytes *key, struct mail_route *r);
/* The same of domainips. */
bool route_next_local_side(struct bytes *table, struct bytes *key, struct bytes *address);

/* domaincerts, in the same order: the certificate's file; empty if there is none. OK; BROKEN. */
enum result route_certificate(const struct control *c, struct bytes sender, struct bytes *certificate);
