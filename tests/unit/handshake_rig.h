/* Handshakes between our engine, whose key is on the other side of a call, and OpenSSL itself in a child. */
#pragma once

#include "certificates.h"
#include "crypt/pair.h"
#include "crypt/session.h"
#include "wire/rack.h"

struct handshake_house {
	struct rack rack;
	int rack_fd;
	struct pair pairs[OTHER_KEY];
	unsigned n_signed;
	bool refuses;
	unsigned fail_at; /* the n-th allocation of a handshake fails; 0: none */
	bool has_failed;
};
extern struct handshake_house house;

struct peer {
	bool server;
	int version;
	const char *name, *alpn, *sigalgs;
	int own_key; /* -1: no certificate */
	const char *emails;
	const char *raw; /* said instead of TLS */
	size_t raw_len;  /* of raw; 0: to its end */
	bool rude;       /* leaves without close_notify */
	bool closes;     /* at once */
	bool needs_none; /* as a server, no certificate */
};

struct outcome {
	enum result handshake, pump;
	struct why why;
	struct tls_facts facts;
	struct tls_session session;
	int status; /* of the peer */
	unsigned n_signed;
};

extern const char *const key_files[]; /* the names of the pairs, by enum of certificates.h */

/* Makes the keys and the rack: a group set-up of cmocka. */
int fill_rack(void **state);

/* The signer of these tests (provider_set_signer), with the pairs of fill_rack. context: enum signing_purpose. */
enum result sign_here(void *context, const uint8_t spki[SPKI_LEN], uint16_t scheme, struct bytes text,
    struct buf *signature, struct why *why);

/* One session: handshake, a ping and its answer, the end. */
struct outcome meet(const struct tls_options *o, const struct peer *as);

/* The list of certificates that shows these pairs; b: -1 for none. */
struct bytes showing(int a, int b);
struct bytes ca_pem(void);
