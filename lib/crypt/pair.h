/* A certificate and its key as they lie in an administrator's files, checked as a pair and brought into the forms that
 * `tls` (chain) and `keyload` (key) read. */
#pragma once

#include "crypt/signer.h"

#define PAIR_FILE_MAX (256u << 10) /* octets of a certificate or key file */
#define FINGERPRINT_LEN 32         /* SHA-256 of a certificate */

struct pair {
	enum key_kind kind;
	uint8_t spki[SPKI_LEN];
	uint8_t fingerprint[FINGERPRINT_LEN];
	int64_t not_before, not_after; /* seconds since 1970 */
	struct buf chain;              /* the certificates in DER, leaf first, each a field (wire_put) */
	struct buf names;              /* DNS names of the leaf in lower case, each a field; the CN if it has none */
	struct buf key;                /* in the form of signer_encode; to be wiped */
};

/* Checks a certificate file (PEM; leaf first, then its issuers) with its key (PEM; encrypted if passphrase.at is not null):
 * MALFORMED; REFUSED: they do not belong together, or the key is of a kind or size that is not served. In either case *p
 * must be closed. */
enum result pair_read(
    struct pair *p, struct bytes certificates, struct bytes key, struct bytes passphrase, struct why *why);

void pair_close(struct pair *p); /* wipes the key */

/* Names of a checked chain again, from its stored form. */
enum result pair_names(struct bytes chain, struct buf *names, struct why *why);

/* SHA-256 of the leaf of a stored chain. */
enum result pair_fingerprint(struct bytes chain, uint8_t fingerprint[FINGERPRINT_LEN]);

/* Whether an OCSP response (DER) says something now: its time has come and is not over. */
bool pair_staple_is_fresh(struct bytes response);

/* What peers that verify the chain would miss: an issuer that is not the next certificate, one that has expired, or none at
 * all behind a certificate that says where its issuer's is to be had. Null if there is no such thing. */
const char *pair_chain_fault(struct bytes chain, int64_t now);
