/* RSA signatures with blinding made ahead.
 *
 * OpenSSL makes a blinding for each key that it reads: an inversion and an exponentiation, half the price of a signature,
 * for a key that signs once. Here the key file brings RSA_BLINDS pairs (r^e, 1/r) of secret random r, and each signature
 * multiplies a fresh random half of them: a new blinding out of 2^32, for forty multiplications. */
#pragma once

#include "base/buf.h"
#include "crypt/signing_text.h"

#define RSA_BLINDS 32
#define RSA_NUMBERS 8 /* n e d p q dp dq qi */
#define RSA_FIELDS (RSA_NUMBERS + 2 * RSA_BLINDS)

struct rsa_key;
struct bignum_st;

/* Appends the pairs for modulus n and exponent e (BIGNUMs; lib/crypt only), 2 * RSA_BLINDS fields. */
enum result rsa_put_blinds(const struct bignum_st *n, const struct bignum_st *e,
    void (*put)(void *to, struct bytes number), void *to, struct why *why);

/* The numbers as they lie in the key file. Null if they can't be a key. */
struct rsa_key *rsa_open(const struct bytes fields[RSA_FIELDS]);
void rsa_close(struct rsa_key *k); /* wipes */

enum result rsa_sign(const struct rsa_key *k, const struct signing_scheme *scheme, struct bytes text,
    struct buf *signature, struct why *why);
