/* What passes between `policy` and the door of `keyload`: that one connection buys one signature. */
#pragma once

#include "base/id.h"
#include "wire/wire.h"

#define PK_POLICY WIRE_FIRST
#define PK_KEYLOAD WIRE_SECOND

enum pk_role { PK_TLS_SERVER, PK_TLS_CLIENT }; /* whose texts are signed */

struct pk_signer {
	char conn[ID_LEN + 1]; /* for the log */
	uint8_t role;          /* enum pk_role */
	uint8_t by_name;       /* PK_SIGNER_OF; 1: also of those that a server name may choose */
	uint8_t spare[2];
	uint32_t wait_ms; /* for the text; then the signer ends */
};

/* tail: the certificate file whose key alone may be used; "": any of the service's.
 * fd: the signer's end of its channel to the engine */

#define PK_NAME_MAX 1024
#define PK_KEYS_MAX 4096

/*	message		body			tail fds sender	 how often */
#define POLICY_KEYLOAD(M) \
	M(PK_SIGNER, struct pk_signer, PK_NAME_MAX, 1, PK_POLICY, ANY) \
	M(PK_SIGNER_OF, struct pk_signer, PK_KEYS_MAX, 1, PK_POLICY, \
	    ANY) /* tail: instead of a name the keys that alone may be used: SHA-256 of each public key, one behind the other */
WIRE_PROTOCOL(policy_keyload, POLICY_KEYLOAD)
