/* What passes between `policy` and the door of `tls`: a connection that is to speak TLS, with all that the engine needs for
 * it. Names of files are looked up among what the engine was given; it opens none. */
#pragma once

#include "base/id.h"
#include "wire/wire.h"

#define PT_POLICY WIRE_FIRST
#define PT_TLS WIRE_SECOND

enum pt_role { PT_SERVER, PT_CLIENT };
enum pt_verify { PT_VERIFY_NONE, PT_VERIFY_OPTIONAL, PT_VERIFY_REQUIRED };

/* How the engine is to be set up; engines with equal octets here and in the tail are one. */
struct pt_engine {
	uint8_t role;    /* enum pt_role */
	uint8_t verify;  /* enum pt_verify: of the peer's certificate */
	uint8_t depth;   /* of its chain; 0: the default */
	uint8_t by_name; /* 1: the server name asked for may choose another certificate */
};

/* What the server must prove, in the client role (crypt/session.h has the meaning of each). */
enum pt_demand { PT_BY_ENGINE, PT_ANY, PT_SHOWN, PT_CHAIN, PT_WILDCARD, PT_NAME, PT_PIN, PT_DANE };

#define PT_PIN_MAX 64
#define PT_SYSTEM_CA "system" /* in place of a CA file: the store of the host */

struct pt_session {
	char conn[ID_LEN + 1];
	struct pt_engine engine;
	uint32_t handshake_ms;
	uint32_t idle_ms;
	uint32_t variables; /* 1: all that is known is wanted, as TF_VARIABLES */
	uint8_t demand;     /* enum pt_demand: of this server alone */
	uint8_t pin_len;    /* PT_PIN: 20, 28, 32 or 64 octets */
	uint8_t pin[PT_PIN_MAX];
};
/* tail: application protocol (ALPN); certificate files (fields in the field); CA file; file of CAs whose names are sent; CRL
 * file; cipher list; the peer's name (client role: asked for and, where the engine verifies, demanded; server role: demanded
 * in the client's certificate). "" is none. If demand is not PT_BY_ENGINE two more: names that the server's certificate
 * may have (fields in the field); TLSA records (fields: usage, selector, matching type, data).
 * fds: the connection; the engine's end of the plaintext; its channel to the signer; its channel for facts */

#define PT_N_ENGINE_FIELDS 6 /* the first: with them engines are told apart */
#define PT_N_FIELDS 7
#define PT_N_DEMAND_FIELDS 2

/*	message		body			tail fds sender	 how often */
#define POLICY_TLS(M) \
	M(PT_SESSION, struct pt_session, 7680, 4, PT_POLICY, ANY) \
	M(PT_SESSION_TO_ITS_END, struct pt_session, 7680, 5, PT_POLICY, \
	    ANY) /* the fifth fd: a stream that gets one octet, E, when the peer has ended what it says (close_notify), before the end of \
		  * the plaintext can be read; it is closed without, before that, if the connection was cut off */
WIRE_PROTOCOL(policy_tls, POLICY_TLS)
