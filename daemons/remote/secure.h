/* From a plain connection to a secure one: send has the engine `tls` speak TLS and check what is demanded; what comes back is
 * plain text. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "wire/send_remote.h"

/* What DNS says of the host; what is demanded beside it send knows. */
struct secure_wish {
	bool dane;             /* `tlsa` decides */
	bool vouched;          /* the host's name counts in the certificate; else only the destination's */
	bool nameless;         /* no server name is asked for (SNI), where nothing is demanded of the certificate */
	struct bytes host;     /* asked for (SNI) */
	struct bytes known_as; /* another name of it, which leads there by CNAMEs; or empty */
	struct bytes tlsa;     /* fields: usage, selector, matching type, data */
};

struct session;

struct secure_found {
	char protocol[16], cipher[64];
	char how[16];   /* how the peer was verified: "dane-ee", "dane-ta", "ca", "ca+name", "pin"; "" if it was not */
	bool shown;     /* it has a certificate */
	char name[256]; /* in its certificate, of those that were asked for; "" if none was */
};

/* Has the connection (net_fd, the caller's to close) handed to an engine and waits for the handshake. OK: *plain_fd, the
 * caller's, is where to go on. Else there is no TLS, and *blame says for whose reason: RM_BLAME_PEER only where the engine has
 * said so. *why has words for an administrator. */
enum result secure_begin(struct session *s, int net_fd, const struct secure_wish *w, int *plain_fd,
    struct secure_found *f, enum rm_blame *blame, struct why *why);
