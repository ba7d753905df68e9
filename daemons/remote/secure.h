/* From a plain connection to a secure one: the engine `tls` speaks TLS, checks what is demanded, and hands on plain text. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "wire/send_remote.h"

struct secure_wish {
	const char *conn;
	enum rm_tls tls;       /* what is demanded */
	bool dane;             /* `tlsa` decides, whatever is demanded */
	bool vouched;          /* the host's name counts in the certificate; else only the destination's */
	struct bytes host;     /* asked for (SNI) */
	struct bytes known_as; /* another name of it, which leads there by CNAMEs; or empty */
	struct bytes destination;
	struct bytes tlsa; /* fields: usage, selector, matching type, data */
	struct bytes ca;   /* empty: the system's */
	struct bytes ciphers, certificate;
	struct bytes pin;
	uint8_t depth;
	int signer; /* the engine's end of a channel to a signer; -1: none. The caller's to close */
	uint32_t handshake_ms, idle_ms;
};

struct secure_found {
	char protocol[16], cipher[64];
	char how[16];   /* how the peer was verified: "dane-ee", "dane-ta", "ca", "ca+name", "pin"; "" if it was not */
	bool shown;     /* it has a certificate */
	char name[256]; /* in its certificate, of those that were asked for; "" if none was */
};

/* Hands the connection (net_fd, the caller's to close) to an engine and waits for the handshake. OK: *plain_fd, the
 * caller's, is where to go on. REFUSED: the handshake failed or did not verify; ABSENT, BROKEN: there is no engine. *why
 * has words for an administrator. */
enum result secure_begin(
    int net_fd, const struct secure_wish *w, int *plain_fd, struct secure_found *f, struct why *why);
