/* TLS: what a service's handshakes have in common. TLS 1.2 and 1.3, ECDHE and AEAD; no renegotiation, compression, tickets,
 * stored sessions or early data. Private keys are those of crypt/provider.h: there is none here. */
#pragma once

#include "crypt/provider.h"
#include "wire/rack.h"

enum tls_role { TLS_SERVER, TLS_CLIENT };

/* Of the peer's certificate. */
enum tls_verify {
	TLS_VERIFY_NONE,     /* server: none is asked for; client: any or none will do, with any cipher that encrypts */
	TLS_VERIFY_OPTIONAL, /* server: asked for, its verification is a fact; client: any will do, and is a fact */
	TLS_VERIFY_REQUIRED, /* the handshake fails without one that verifies */
};

struct tls_options {
	enum tls_role role;
	enum tls_verify verify;
	unsigned depth;        /* issuers between leaf and trust anchor; 0: ours */
	struct bytes protocol; /* ALPN name that is spoken here; empty: none is named */
	struct bytes ciphers;  /* TLS 1.2, in OpenSSL's form; empty: ours, which are more where nothing is verified */
	struct bytes ca;       /* trust anchors, PEM; may be empty */
	struct bytes ca_names; /* server: those whose names are sent, PEM, trusted too; empty: those of `ca` */
	struct bytes
	    crl; /* PEM; if there are any, the leaf is looked up. Client: those in `ca` count for their issuers */
	const struct tls_engine
	    *trusts_like; /* client; or null: one opened with the same ca, ca_names and crl, whose store is shared */
	struct bytes certificates; /* fields: the certificate files to show by default, of `rack` */
	bool by_name;              /* server: another certificate may be chosen by the server name asked for */
	const struct rack *rack;   /* outlives the engine; may be null if no certificate is shown */
};

struct tls_engine;

/* Once a process, after provider_open: what OpenSSL loads when first used is loaded, by handshakes with itself. */
enum result engine_warm(struct why *why);

/* Whether a list, in OpenSSL's form, has a cipher in it that OpenSSL has: OK or MALFORMED; EXHAUSTED. After provider_open. */
enum result engine_check_ciphers(struct bytes list, struct why *why);

/* MALFORMED: an option can't be; ABSENT: a certificate is not on the rack. *e is the caller's. */
enum result engine_open(struct tls_engine **e, const struct tls_options *o, struct why *why);
void engine_close(struct tls_engine *e);

/* When the first of the certificates in its options expires, in seconds since 1970, and *which of them it is, from 0.
 * INT64_MAX: it has none. */
int64_t engine_expires(const struct tls_engine *e, size_t *which);
