/* What TLS needs from the administrator's files, before a generation starts. */
#pragma once

#include "base/bytes.h"
#include "house/instance.h"

/* Where files are named: variables as in a rule's data (control/rules.h), which hold for all connections, and records of
 * rules: 32 bits each for the lengths of key and data, then these. */
struct certificates_named {
	struct bytes variables, rules;
	struct bytes system_ca; /* the host's own store, under the name PT_SYSTEM_CA; empty: it is not wanted */
	struct bytes cas;       /* fields: CA files, or directories with a final / */
	struct bytes pairs; /* three fields each: certificate file, key file ("": the same), passphrase ("": none) */
};

/* Opens the certificates, keys and CA files that the service's variables and rules name (CERTFILE KEYFILE KEYPASSFILE CERTDIR
 * OCSPFILE CAFILE CADIR CCAFILE CRLFILE), hands them unread to a keyring process, and gets the sealed certificates for tls:
 * *rack_fd is the caller's. A file that can't be opened is told by keyring, and is no failure. */
enum result certificates_gather(
    const struct instance *in, const struct certificates_named *named, int *rack_fd, struct why *why);
