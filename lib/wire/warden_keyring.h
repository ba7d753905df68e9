/* What passes between `warden` and `keyring`: the administrator's certificate and key files, opened but not read, and a
 * memory file for what `tls` may know of them. keyring answers by how it ends, so that warden need not read. */
#pragma once

#include "wire/wire.h"

#define WK_WARDEN WIRE_FIRST
#define WK_KEYRING WIRE_SECOND

#define WK_NAME_MAX 1024 /* octets of a file's name */

struct wk_pair {
	uint8_t by_name; /* 1: found by the server names in it */
	uint8_t spare[7];
};

/*	message		body			tail fds sender	 how often */
#define WARDEN_KEYRING(M) \
	M(WK_RACK, struct wire_nothing, 0, 1, WK_WARDEN, \
	    ONCE) /* comes first; fd: a memory file to fill (wire/rack.h) and seal */ \
	M(WK_PAIR, struct wk_pair, WK_NAME_MAX, 2, WK_WARDEN, \
	    ANY) /* tail: name of the certificate file; fds: it, and the key's */ \
	M(WK_LOCKED_PAIR, struct wk_pair, WK_NAME_MAX, 3, WK_WARDEN, ANY) /* and the passphrase's */ \
	M(WK_MISSING, struct wk_pair, WK_NAME_MAX, 0, WK_WARDEN, ANY) /* a pair of that name could not be opened */ \
	M(WK_STAPLE, struct wire_nothing, WK_NAME_MAX, 1, WK_WARDEN, \
	    ANY) /* fd: OCSP response for the pair of that name; comes before it */ \
	M(WK_FILE, struct wire_nothing, 2 * WK_NAME_MAX, 1, WK_WARDEN, \
	    ANY) /* tail: fields: name, and the file's path; fd: CA certificates or CRLs; the same name again adds to it */ \
	M(WK_NO_FILE, struct wire_nothing, 2 * WK_NAME_MAX, 0, WK_WARDEN, \
	    ANY) /* the same of one that could not be opened */ \
	M(WK_END, struct wire_nothing, 0, 0, WK_WARDEN, \
	    ONCE) /* keyring fills the rack, seals it and ends with status 0 */
WIRE_PROTOCOL(warden_keyring, WARDEN_KEYRING)
