/* How the sealed form is laid out: shared by its writer (source.c) and its reader (control.c) alone. */
#pragma once

#include "base/le.h"
#include "control/schema.h"

#define CONTROL_MAGIC "postern control 1"
#define CONTROL_HEAD_KEY "!" /* value: the magic, then 4 octets each of reader and fingerprint */
#define CONTROL_VALUE 'v'
#define CONTROL_TABLE 'k'

/* A number or flag: 8 octets, little-endian. A list: for each line 4 octets of length and the line.
 * A network: 1 octet of length (4 or 16), 1 octet of bits, then the address.
 * An endpoint: 1 octet of kind, 2 octets of port, then 4 or 16 octets of address or the path.
 * An owner: 4 octets of uid, 4 of gid, then the home. */
#define CONTROL_LINE_HEAD 4
#define CONTROL_NETWORK_HEAD 2
#define CONTROL_ENDPOINT_HEAD 3
#define CONTROL_OWNER_HEAD 8
