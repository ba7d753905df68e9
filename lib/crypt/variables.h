/* A connection as variables for a program, after the handshake. */
#pragma once

#include "crypt/session.h"

/* Adds NAME=value, each with a zero octet behind it: SSL_PROTOCOL, SSL_SESSION_ID, SSL_CIPHER first, then those of mod_ssl for
 * cipher, library, own certificate and the peer's (SSL_SERVER_…, SSL_CLIENT_…). Line ends are in the PEM of …CERT and
 * …CERT_CHAIN_n alone. Of a peer's certificate that did not verify there is …VERIFY only. `out` fails if it is too small. */
void tls_variables(const struct tls_session *s, struct buf *out);
