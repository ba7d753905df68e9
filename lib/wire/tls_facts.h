/* What passes between one TLS session and `policy`: what became of the handshake. It comes before the first octet of
 * plaintext does, and never through the front end. */
#pragma once

#include "wire/policy_tls.h"
#include "wire/wire.h"

#define TF_TLS WIRE_FIRST
#define TF_POLICY WIRE_SECOND

enum tf_peer { TF_PEER_NONE, TF_PEER_UNVERIFIED, TF_PEER_VERIFIED };

struct tf_facts {
	uint8_t peer; /* enum tf_peer: the peer's certificate */
	uint8_t spare;
	uint16_t bits; /* of the cipher */
	uint32_t spare2;
	uint8_t fingerprint[32]; /* SHA-256 of the peer's certificate; zeros if it has none */
	uint8_t exporter[32];    /* channel binding tls-exporter (RFC 9266); zeros if there is none */
};
/* tail: protocol version; cipher; key exchange group; server name asked for; why the certificate is not verified; subject;
 * common name; e-mail addresses of a verified certificate (fields in the field); client role: how the server was verified
 * ("dane-ee", "dane-ta", "ca", "ca+name", "pin", "" if it was not); the name in its certificate that was asked for */

#define TF_N_FIELDS 10

/* Server role: whether an enum tf_peer can be true where a certificate was asked for like this: one that was not asked for does not come,
 * one that is required was verified, or there is no session. */
bool tf_peer_fits(unsigned peer, enum pt_verify asked);

/* Client role: whether "how the server was verified" is what was demanded, no less and nothing else. */
bool tf_proof_fits(struct bytes proof, enum pt_demand demand);

/* What ended a handshake. Only TF_BLAME_PEER says something about the peer's TLS: a client that may do without TLS does so
 * for no other reason. */
enum tf_blame {
	TF_BLAME_US,      /* this host: no signer, no memory, a trust store that could not be read */
	TF_BLAME_SILENCE, /* nobody knows: no answer in time, the network */
	TF_BLAME_PEER,    /* octets of the peer, or its close */
};

struct tf_failed {
	uint8_t blame; /* enum tf_blame */
	uint8_t spare[7];
};

#define TF_PIECE 8000
#define TF_VARIABLES_MAX (64u << 10) /* octets of all pieces */

/*	message		body			tail fds sender	 how often */
#define TLS_FACTS(M) \
	M(TF_VARIABLES, struct wire_nothing, TF_PIECE, 0, TF_TLS, \
	    ANY) /* before the facts, if asked for; tail: a piece of the list NAME=value, zero octet (crypt/variables.h) */ \
	M(TF_FACTS, struct tf_facts, 4096, 0, TF_TLS, ONCE) \
	M(TF_FAILED, struct tf_failed, WHY_MAX, 0, TF_TLS, ONCE) /* no handshake; tail: text */
WIRE_PROTOCOL(tls_facts, TLS_FACTS)
