/* UTF-8 (RFC 3629). */
#pragma once

#include "base/bytes.h"

/* Octets of the valid sequence at the front of v: 1 to 4; 0 if it is not valid (overlong, surrogate, cut). */
size_t utf8_sequence(struct bytes v);
bool utf8_is_valid(struct bytes v);
bool utf8_is_ascii(struct bytes v);
