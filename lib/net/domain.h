/* Domain names and address literals of SMTP (RFC 5321 4.1.2, 4.1.3; RFC 6531; RFC 5890). */
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/result.h"

#define DOMAIN_MAX 255 /* octets, as written */

/* Labels of letters, digits, - and _ (and, if allowed, UTF-8), each 1 to 63 octets, not beginning or ending with -. */
bool domain_is_valid(struct bytes name, bool utf8);

/* [192.0.2.1] or [IPv6:2001:db8::1], with the brackets. */
bool domain_is_literal(struct bytes text);

/* The address of a literal: 4 or 16 octets into address, *len. False if it is none. */
bool domain_literal_address(struct bytes text, uint8_t address[16], size_t *len);

/* The form in which a domain is looked up: lower case, U-labels as A-labels, without a final dot. Literals only in lower
 * case. MALFORMED if U-labels have no A-labels, or what they are mapped to is no domain. */
enum result domain_normalise(struct bytes name, struct buf *into);
