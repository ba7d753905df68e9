/* Sums that old tables of passwords have, and APOP's (RFC 1939 7). */
#pragma once

#include "base/bytes.h"

#define DIGEST_HEX_MAX 64

/* The sum of text in hex, lower case: MD5, SHA-1 or SHA-256 by its 16, 20 or 32 octets. False: no such, or OpenSSL won't. */
bool digest_hex(struct bytes text, size_t len, char hex[DIGEST_HEX_MAX + 1]);

/* Whether the digest (in hex) is APOP's for this password and the greeting's timestamp. */
bool digest_apop_is(struct bytes digest, struct bytes password, struct bytes timestamp);

/* HMAC-SHA-256; key and hash have 32 octets and may be the same. */
bool digest_keyed(const uint8_t key[32], struct bytes text, uint8_t hash[32]);
