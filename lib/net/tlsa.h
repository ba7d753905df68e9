/* TLSA records (RFC 6698, as RFC 7671 and 7672 use them for mail). */
#pragma once

#include "base/bytes.h"

/* Whether one of the records (wire fields: usage, selector, matching type, data) can be used: usage 2 or 3, a known selector and
 * matching type, data of the right length. RFC 7672 2.2: where none can, TLS is still demanded, without this proof. */
bool tlsa_has_usable(struct bytes records);
