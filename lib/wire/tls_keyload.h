/* All that may pass between a TLS session and its signer. */
#pragma once

#include "wire/wire.h"

#define TK_TLS WIRE_FIRST
#define TK_KEYLOAD WIRE_SECOND

#define TK_TEXT_MAX 7680

struct tk_ask {
	uint8_t spki[32]; /* SHA-256 of the public key that the peer was shown */
	uint16_t scheme;  /* TLS SignatureScheme, as registered */
	uint16_t spare[3];
}; /* tail: the text, not its digest, so that the signer can check it */

/*	message		body			tail fds sender	 how often */
#define TLS_KEYLOAD(M) \
	M(TK_ASK, struct tk_ask, TK_TEXT_MAX, 0, TK_TLS, ONCE) \
	M(TK_SIGNATURE, struct wire_nothing, 1024, 0, TK_KEYLOAD, ONCE) \
	M(TK_REFUSED, struct wire_nothing, WHY_MAX, 0, TK_KEYLOAD, ONCE) /* tail: text */
WIRE_PROTOCOL(tls_keyload, TLS_KEYLOAD)
