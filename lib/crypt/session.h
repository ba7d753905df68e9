/* One TLS connection: the handshake, what is known after it, and the pump between peer and plaintext. */
#pragma once

#include "crypt/engine.h"

#define TLS_NAME_MAX 255
#define TLS_EMAILS_MAX 2048 /* octets of all addresses of a certificate */
#define TLS_SUBJECT_MAX 512
#define TLS_ALERTS_MAX 8

/* What became of the peer's certificate. */
enum tls_peer { TLS_PEER_NONE, TLS_PEER_UNVERIFIED, TLS_PEER_VERIFIED };

/* What the server must prove to a client. */
enum tls_demand {
	TLS_BY_ENGINE, /* what the engine's options say */
	TLS_ANY,       /* nothing: any certificate will do, or none */
	TLS_SHOWN,     /* nothing, but it shows a certificate */
	TLS_CHAIN,     /* its certificate verifies */
	TLS_WILDCARD,  /* and has one of the names, or a wildcard as the left-most label for one (RFC 6125 6.4.3) */
	TLS_NAME,      /* and has one of the names in full */
	TLS_PIN,       /* its certificate has the fingerprint; who issued it and until when does not matter */
	TLS_DANE,      /* it matches a TLSA record (RFC 7672); if none of them can be used, nothing */
};

#define TLS_TLSA_MAX 32 /* records of a host that are looked at */

struct tls_target {
	enum tls_demand demand;
	struct bytes
	    names; /* fields: DNS names (A-labels) and addresses, literals or plain, that the certificate may have: as
			     * dNSName, or as common name if it has no dNSName, or as iPAddress */
	struct bytes pin; /* SHA-1, SHA-224, SHA-256 or SHA-512 of the certificate, told apart by the length */
	struct bytes
	    tlsa; /* fields: usage, selector, matching type, data (RFC 6698 2.1). Usages 2 and 3 can be used; names
			     * count for 2 only, dates and CAs for neither (3) */
};

struct tls_facts {
	const char *protocol; /* "TLSv1.3" */
	const char *cipher;   /* as RFC 8446, RFC 5289 name it */
	const char *group;    /* of the key exchange; "" if not known */
	unsigned bits;
	enum tls_peer peer;
	char verify[160];                   /* why it is unverified */
	char server_name[TLS_NAME_MAX + 1]; /* asked for; "" if none was */
	char application[32];               /* ALPN agreed on; "" if none */
	char subject[TLS_SUBJECT_MAX];      /* RFC 2253 form */
	char common_name[TLS_NAME_MAX + 1];
	uint8_t fingerprint[32];    /* SHA-256 of the peer's certificate */
	uint8_t exporter[32];       /* tls-exporter (RFC 9266), TLS 1.3 only; else zeros */
	uint8_t own_spki[SPKI_LEN]; /* of the certificate shown; zeros if none */
	struct buf emails;          /* of a verified certificate: rfc822Name and emailAddress, each a field */
	uint8_t emails_room[TLS_EMAILS_MAX];
	const char *proof; /* of a target: "dane-ee", "dane-ta", "ca", "ca+name", "pin"; "" if nothing was proven */
	char matched[TLS_NAME_MAX +
	    1]; /* the name in the certificate that is one of the target's; "" if none was asked for */
};

/* What ended a handshake that failed. */
enum tls_blame {
	TLS_BLAME_US,      /* this host: also whatever OpenSSL does not tell apart */
	TLS_BLAME_SILENCE, /* no answer in time, or the network broke */
	TLS_BLAME_PEER,    /* the peer's octets, or its close */
};

struct tls_alert {
	bool sent, fatal;
	const char *name;
};

#define TLS_ENDED 'E' /* what ended_fd is told */

struct tls_session {
	struct ssl_st *ssl;
	const struct tls_engine *engine;
	int net_fd;
	struct tls_alert alerts[TLS_ALERTS_MAX];
	unsigned n_alerts;
	bool closed_well;     /* the peer said close_notify */
	int ended_fd;         /* a stream that is told so, and then closed; -1: none (tls_begin) */
	uint64_t n_in, n_out; /* octets of plaintext */
	struct tls_target target;
	const char *proof;
	char matched[TLS_NAME_MAX + 1];
	char fault[160]; /* why the target was not met, or nothing proven; "" if OpenSSL's reason says it */
	enum tls_blame blame;
};

/* Begins on a connected descriptor (kept, the caller's), which becomes non-blocking. name: in the client role the server's,
 * asked for (SNI) and, if verification is required, demanded in its certificate; in the server role a name that is demanded
 * in the client's; or null. */
enum result tls_begin(struct tls_session *s, const struct tls_engine *e, int net_fd, const char *name, struct why *why);

/* In the client role, before the handshake: demands other proof than the engine does. What t shows must stay until the
 * handshake is done. TLS_WILDCARD, TLS_NAME and TLS_CHAIN need an engine with CAs. MALFORMED: a pin that can be none, or no usable name where one is demanded. */
enum result tls_aim(struct tls_session *s, const struct tls_target *t, struct why *why);

/* The handshake, within so many milliseconds. OK; REFUSED: it failed, *why in an administrator's words; AGAIN: out of
 * time; ABSENT: the peer hung up; BROKEN: the signer or OpenSSL failed. s->blame says whose fault it was. */
enum result tls_handshake(struct tls_session *s, unsigned ms, struct why *why);

/* After the handshake. */
void tls_facts(const struct tls_session *s, struct tls_facts *f);

/* Carries octets both ways until both sides are done or one is gone: half-close is passed on (close_notify, shutdown),
 * nothing waits for more than idle_ms without an octet. Memory is bounded; a side that does not read stops the other.
 * OK: ended in order. ABSENT: the peer left without close_notify. AGAIN: idle. REFUSED: the peer broke the protocol. */
enum result tls_pump(struct tls_session *s, int plain_fd, unsigned idle_ms, struct why *why);

void tls_end(struct tls_session *s);
