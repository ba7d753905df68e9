/* Which certificates and CAs the tables of a client name: domaincerts, tlsdestinations, cafile. */
#pragma once

#include "base/buf.h"
#include "control/source.h"
#include "house/certificates.h"

struct client_certificates {
	struct buf cas, pairs; /* passphrases are in it */
};

/* Fills the client's part of *named, which shows *c and the source until client_certificates_forget. OK, EXHAUSTED. */
enum result client_certificates_name(
    struct client_certificates *c, const struct control_source *s, struct certificates_named *named, struct why *why);
void client_certificates_forget(struct client_certificates *c);
