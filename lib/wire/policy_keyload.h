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
	uint8_t spare[3];
	uint32_t wait_ms; /* for the text; then the signer ends */
};

/* tail: the certificate file whose key alone may be used; "": any of the service's.
 * fd: the signer's end of its channel to the engine */

#define PK_NAME_MAX 1024

/*	message		body			tail fds sender	 how often */
#define POLICY_KEYLOAD(M) M(PK_SIGNER, struct pk_signer, PK_NAME_MAX, 1, PK_POLICY, ANY)
WIRE_PROTOCOL(policy_keyload, POLICY_KEYLOAD)
