/* What TLS needs from the administrator's files, before a generation starts. */
#pragma once

#include "control/source.h"
#include "house/instance.h"

/* Opens the certificates, keys and CA files that the service's variables and rules name (CERTFILE KEYFILE KEYPASSFILE CERTDIR
 * OCSPFILE CAFILE CADIR CCAFILE CRLFILE), hands them unread to a keyring process, and gets the sealed certificates for tls:
 * *rack_fd is the caller's. A file that can't be opened is told by keyring, and is no failure. */
enum result certificates_gather(
    const struct instance *in, const struct control_source *source, int *rack_fd, struct why *why);
