/* Getting one connection into TLS: what ucspitls does for a program under sslserver, and sslclient for its own. */
#pragma once

#include "base/buf.h"
#include "wire/policy_tls.h"
#include "wire/tls_facts.h"

/* How it went. */
struct handshake {
	struct buf variables; /* the caller's, for what the engine says if session.variables is 1 */
	char protocol[32], cipher[64];
};

/* Buys a signer of keyload, hands connection and the engine's end of the plaintext to tls: tls_fd and keyload_fd are the ends
 * of their doors' channels. ended: a stream that is told of the end of what the peer says, the caller's; -1: none. *facts is the caller's, for handshake_hear. tail: as in PT_SESSION. */
enum result handshake_begin(const struct pt_session *session, struct bytes tail, int tls_fd, int keyload_fd,
    int connection, int plain, int ended, int *facts, struct why *why);

/* Waits until it is done. REFUSED: it failed, *why says why; AGAIN, ABSENT, EXHAUSTED: no word of it. */
enum result handshake_hear(struct handshake *h, int facts, unsigned ms, struct why *why);
