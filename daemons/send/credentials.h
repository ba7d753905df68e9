/* What a session of `remote` is given of what only this process has: handshakes with what is demanded in them and a signer, and
 * the lines that log in at a relay. */
#pragma once

#include "crypt/sasl.h"
#include "send/securing.h"
#include "wire/port.h"
#include "wire/send_remote.h"

#define LOGINS_MAX 96 /* of a connection: with each mechanism at each address that is tried */

/* What one next hop may have. */
struct access {
	const char *conn; /* of the session, for the log */
	const struct rm_peer *peer;
	struct bytes destination, relay, ca, ciphers; /* as the tail of RM_PEER has them */
	struct bytes certificate;                     /* the client certificate's file; empty: none */
	struct bytes user, password;                  /* empty: none */
	bool plain;                                   /* they may be said without TLS */
};

/* What one connection has had. */
struct credentials {
	struct securing securing;
	unsigned n_logins;
	uint8_t mechanism, step;        /* of the login under way */
	char nonce[SASL_NONCE_LEN + 1]; /* ours, of SCRAM-SHA-256 */
};

#define CREDENTIALS_NONE \
	{ \
		.securing = SECURING_NONE \
	}

/* Once, when the process is confined: the line to keyload's door (a descriptor; -1: none), and the arithmetic of logins. */
enum result credentials_open(struct loop *loop, int keyload_fd, struct why *why);

void credentials_close(void); /* forgets all keys */

/* A channel to a signer for a's certificate; *engine_fd, the caller's, is the engine's end. OK, ABSENT, EXHAUSTED, BROKEN. */
enum result credentials_buy_signer(const struct access *a, int *engine_fd, struct why *why);

/* Answers an RM_SECURE or RM_AUTH that came from the session at `to`. OK; MALFORMED: it asks out of turn, or for more
 * than a session can want. */
enum result credentials_answer(
    struct credentials *k, const struct access *a, struct port *to, struct wire_message *m, struct why *why);
