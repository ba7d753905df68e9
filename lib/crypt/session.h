/* One TLS connection: the handshake, what is known after it, and the pump between peer and plaintext. */
#pragma once

#include "crypt/engine.h"

#define TLS_NAME_MAX 255
#define TLS_EMAILS_MAX 2048 /* octets of all addresses of a certificate */
#define TLS_SUBJECT_MAX 512
#define TLS_ALERTS_MAX 8

/* What became of the peer's certificate. */
enum tls_peer { TLS_PEER_NONE, TLS_PEER_UNVERIFIED, TLS_PEER_VERIFIED };

struct tls_facts {
	const char *protocol; /* "TLSv1.3" */
	const char *cipher;   /* as RFC 8446, RFC 5289 name it */
	const char *group;    /* of the key exchange; "" if not known */
	unsigned bits;
	enum tls_peer peer;
	char verify[128];                   /* why it is unverified */
	char server_name[TLS_NAME_MAX + 1]; /* asked for; "" if none was */
	char application[32];               /* ALPN agreed on; "" if none */
	char subject[TLS_SUBJECT_MAX];      /* RFC 2253 form */
	char common_name[TLS_NAME_MAX + 1];
	uint8_t fingerprint[32];    /* SHA-256 of the peer's certificate */
	uint8_t own_spki[SPKI_LEN]; /* of the certificate shown; zeros if none */
	struct buf emails;          /* of a verified certificate: rfc822Name and emailAddress, each a field */
	uint8_t emails_room[TLS_EMAILS_MAX];
};

struct tls_alert {
	bool sent, fatal;
	const char *name;
};

struct tls_session {
	struct ssl_st *ssl;
	const struct tls_engine *engine;
	int net_fd;
	struct tls_alert alerts[TLS_ALERTS_MAX];
	unsigned n_alerts;
	bool closed_well;     /* the peer said close_notify */
	uint64_t n_in, n_out; /* octets of plaintext */
};

/* Begins on a connected descriptor (kept, the caller's), which becomes non-blocking. name: in the client role the server's,
 * asked for (SNI) and, if verification is required, demanded in its certificate; in the server role a name that is demanded
 * in the client's; or null. */
enum result tls_begin(struct tls_session *s, const struct tls_engine *e, int net_fd, const char *name, struct why *why);

/* The handshake, within so many milliseconds. OK; REFUSED: it failed, *why in an administrator's words; AGAIN: out of
 * time; ABSENT: the peer hung up. */
enum result tls_handshake(struct tls_session *s, unsigned ms, struct why *why);

/* After the handshake. */
void tls_facts(const struct tls_session *s, struct tls_facts *f);

/* Carries octets both ways until both sides are done or one is gone: half-close is passed on (close_notify, shutdown),
 * nothing waits for more than idle_ms without an octet. Memory is bounded; a side that does not read stops the other.
 * OK: ended in order. ABSENT: the peer left without close_notify. AGAIN: idle. REFUSED: the peer broke the protocol. */
enum result tls_pump(struct tls_session *s, int plain_fd, unsigned idle_ms, struct why *why);

void tls_end(struct tls_session *s);
