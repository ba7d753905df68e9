/* Inside lib/crypt: OpenSSL's types. */
#pragma once

#include "crypt/session.h"

#include <openssl/ssl.h>

#define IDENTITIES_MAX 8

/* A certificate that can be shown. */
struct identity {
	X509 *leaf;
	STACK_OF(X509) * chain;
	EVP_PKEY *key; /* of our provider */
	uint8_t spki[SPKI_LEN];
	struct bytes ocsp;
	int64_t expires; /* seconds since 1970 */
};

struct tls_engine {
	SSL_CTX *ctx;
	const struct rack *rack;
	enum tls_role role;
	bool by_name, demands;
	bool crl_if_there;    /* revocation lists came with the CAs: those of other issuers may be missing */
	uint8_t protocol[33]; /* ALPN: length and name */
	unsigned protocol_len;
	struct identity identities[IDENTITIES_MAX];
	size_t n_identities;
	size_t n_own; /* of these: for all names */
};

/* identity.c */
enum result identity_load(struct identity *i, const struct rack *rack, struct bytes file, struct why *why);
void identity_free(struct identity *i);
bool identity_use(SSL *ssl, const struct identity *i);
enum result identities_prepare(struct tls_engine *e, struct bytes files, struct why *why);

/* target.c: verification in the client role, and what can be told only after the handshake. */
int target_check(X509_STORE_CTX *c, void *context);
bool target_is_address(const char *name);
enum result target_settle(struct tls_session *s, struct why *why);

/* reasons.c: the failure that OpenSSL has queued, in words; s->blame says whose it is. Empties the queue. */
enum result failure_why(struct tls_session *s, int ssl_error, struct why *why);

/* variables.c: those of one certificate; whose: "SERVER_" or "CLIENT_". */
void certificate_variables(struct buf *out, const char *whose, const X509 *c);

static inline struct tls_session *
session_of(const SSL *ssl)
{
	return SSL_get_app_data(ssl);
}
