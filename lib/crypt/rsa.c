/* RSA, one signature a key.
 * Trusts the key file; OpenSSL for padding, exponentiation and the check of its result.
 * Never signs without a blinding of its own, and never decrypts. */
#define OPENSSL_SUPPRESS_DEPRECATED /* a provider's RSA would make its own blinding */
#include "crypt/rsa.h"

#include "crypt/provider.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

struct rsa_key {
	RSA *rsa;
	BN_MONT_CTX *mont;
	BN_CTX *scratch;
	BIGNUM *before[RSA_BLINDS], *after[RSA_BLINDS]; /* in Montgomery form */
};

/* ---- made ahead ---- */

static bool
make_blind(const BIGNUM *n, const BIGNUM *e, BN_MONT_CTX *mont, BN_CTX *c, BIGNUM *before, BIGNUM *after)
{
	BIGNUM *r = BN_secure_new();
	bool good = r != NULL && BN_priv_rand_range(r, n) == 1 && BN_mod_inverse(after, r, n, c) != NULL &&
	    BN_mod_exp_mont(before, r, e, n, c, mont) == 1 && BN_to_montgomery(before, before, mont, c) == 1 &&
	    BN_to_montgomery(after, after, mont, c) == 1;

	BN_clear_free(r);
	return good;
}

static void
put_number(const BIGNUM *n, void (*put)(void *to, struct bytes number), void *to)
{
	uint8_t octets[SIGNATURE_MAX];
	int len = BN_num_bytes(n) <= (int)sizeof octets ? BN_bn2bin(n, octets) : 0;

	put(to, bytes_of(octets, (size_t)len));
	OPENSSL_cleanse(octets, sizeof octets);
}

enum result
rsa_put_blinds(const BIGNUM *n, const BIGNUM *e, void (*put)(void *to, struct bytes number), void *to, struct why *why)
{
	BIGNUM *before = BN_secure_new(), *after = BN_secure_new();
	BN_MONT_CTX *mont = BN_MONT_CTX_new();
	BN_CTX *c = BN_CTX_secure_new();
	bool good = before != NULL && after != NULL && mont != NULL && c != NULL && BN_MONT_CTX_set(mont, n, c) == 1;

	for (unsigned i = 0; good && i < RSA_BLINDS; i++) {
		good = make_blind(n, e, mont, c, before, after);
		put_number(before, put, to);
		put_number(after, put, to);
	}
	BN_clear_free(before);
	BN_clear_free(after);
	BN_MONT_CTX_free(mont);
	BN_CTX_free(c);
	return good ? OK : why_set(why, BROKEN, "no blinding can be made for the key");
}

/* ---- read ---- */

static BIGNUM *
number(struct bytes octets)
{
	BIGNUM *n = BN_bin2bn(octets.at, (int)octets.len, NULL);

	if (n != NULL)
		BN_set_flags(n, BN_FLG_CONSTTIME);
	return n;
}

static bool
take_blinds(struct rsa_key *k, const struct bytes *fields)
{
	bool good = true;

	for (unsigned i = 0; i < RSA_BLINDS; i++) {
		k->before[i] = number(fields[2 * i]);
		k->after[i] = number(fields[2 * i + 1]);
		good = good && k->before[i] != NULL && k->after[i] != NULL;
	}
	return good;
}

/* The numbers become the key's one by one; those that did not are freed. */
static bool
take_numbers(struct rsa_key *k, const struct bytes *fields)
{
	BIGNUM *b[RSA_NUMBERS];
	bool good = true;
	unsigned taken = 0;

	for (unsigned i = 0; i < RSA_NUMBERS; i++) {
		b[i] = number(fields[i]);
		good = good && b[i] != NULL && !BN_is_zero(b[i]);
	}
	good = good && BN_num_bits(b[0]) >= 2048 && BN_is_odd(b[0]) && BN_MONT_CTX_set(k->mont, b[0], k->scratch) == 1;
	if (good && RSA_set0_key(k->rsa, b[0], b[1], b[2]) == 1)
		taken = 3;
	if (taken == 3 && RSA_set0_factors(k->rsa, b[3], b[4]) == 1)
		taken = 5;
	if (taken == 5 && RSA_set0_crt_params(k->rsa, b[5], b[6], b[7]) == 1)
		taken = RSA_NUMBERS;
	for (unsigned i = taken; i < RSA_NUMBERS; i++)
		BN_clear_free(b[i]);
	return taken == RSA_NUMBERS;
}

struct rsa_key *
rsa_open(const struct bytes fields[RSA_FIELDS])
{
	struct rsa_key *k = OPENSSL_zalloc(sizeof *k);

	if (k == NULL)
		return NULL;
	k->rsa = RSA_new();
	k->mont = BN_MONT_CTX_new();
	k->scratch = BN_CTX_secure_new();
	if (k->rsa == NULL || k->mont == NULL || k->scratch == NULL || !take_numbers(k, fields) ||
	    !take_blinds(k, fields + RSA_NUMBERS)) {
		rsa_close(k);
		return NULL;
	}
	RSA_set_flags(k->rsa, RSA_FLAG_NO_BLINDING);
	return k;
}

void
rsa_close(struct rsa_key *k)
{
	if (k == NULL)
		return;
	for (unsigned i = 0; i < RSA_BLINDS; i++) {
		BN_clear_free(k->before[i]);
		BN_clear_free(k->after[i]);
	}
	RSA_free(k->rsa);
	BN_MONT_CTX_free(k->mont);
	BN_CTX_free(k->scratch);
	OPENSSL_free(k);
}

/* ---- used ---- */

/* A random product of the pairs, both in Montgomery form. */
static bool
choose_blind(const struct rsa_key *k, BIGNUM *before, BIGNUM *after)
{
	uint32_t chosen;
	bool first = true;

	do
		if (RAND_priv_bytes((unsigned char *)&chosen, sizeof chosen) != 1)
			return false;
	while (chosen == 0);
	for (unsigned i = 0; i < RSA_BLINDS; i++) {
		if (!(chosen >> i & 1))
			continue;
		if (first ? BN_copy(before, k->before[i]) == NULL || BN_copy(after, k->after[i]) == NULL
			  : BN_mod_mul_montgomery(before, before, k->before[i], k->mont, k->scratch) != 1 ||
			    BN_mod_mul_montgomery(after, after, k->after[i], k->mont, k->scratch) != 1)
			return false;
		first = false;
	}
	return true;
}

/* The padded text in, the signature out, both len octets. */
static bool
exponentiate(const struct rsa_key *k, uint8_t *octets, int len)
{
	BIGNUM *before = BN_secure_new(), *after = BN_secure_new(), *m = BN_bin2bn(octets, len, NULL);
	bool good = before != NULL && after != NULL && m != NULL && choose_blind(k, before, after) &&
	    BN_mod_mul_montgomery(m, m, before, k->mont, k->scratch) == 1 && BN_bn2binpad(m, octets, len) == len &&
	    RSA_private_encrypt(len, octets, octets, k->rsa, RSA_NO_PADDING) == len &&
	    BN_bin2bn(octets, len, m) != NULL && BN_mod_mul_montgomery(m, m, after, k->mont, k->scratch) == 1 &&
	    BN_bn2binpad(m, octets, len) == len;

	BN_clear_free(before);
	BN_clear_free(after);
	BN_clear_free(m);
	return good;
}

/* DigestInfo (RFC 8017 9.2) for SHA-256, -384, -512: only three octets differ. */
static bool
pad_pkcs1(uint8_t *padded, int len, const uint8_t *hash, unsigned hash_len)
{
	uint8_t info[19 + EVP_MAX_MD_SIZE] = { 0x30, (uint8_t)(17 + hash_len), 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48,
		0x01, 0x65, 0x03, 0x04, 0x02,
		hash_len == 32       ? 1
		    : hash_len == 48 ? 2
				     : 3,
		0x05, 0x00, 0x04, (uint8_t)hash_len };

	memcpy(info + 19, hash, hash_len);
	return RSA_padding_add_PKCS1_type_1(padded, len, info, (int)(19 + hash_len)) == 1;
}

enum result
rsa_sign(const struct rsa_key *k, const struct signing_scheme *scheme, struct bytes text, struct buf *signature,
    struct why *why)
{
	const EVP_MD *md = EVP_get_digestbyname(scheme->digest);
	uint8_t hash[EVP_MAX_MD_SIZE], octets[SIGNATURE_MAX];
	int len = RSA_size(k->rsa);
	unsigned hash_len;

	if (len > (int)sizeof octets || md == NULL || EVP_Digest(text.at, text.len, hash, &hash_len, md, NULL) != 1 ||
	    (scheme->pss ? RSA_padding_add_PKCS1_PSS(k->rsa, octets, hash, md, RSA_PSS_SALTLEN_DIGEST) == 1
			 : pad_pkcs1(octets, len, hash, hash_len)) == 0 ||
	    !exponentiate(k, octets, len))
		return why_set(why, BROKEN, "OpenSSL made no %s signature: %s", scheme->name,
		    ERR_reason_error_string(ERR_peek_last_error()));
	buf_add(signature, bytes_of(octets, (size_t)len));
	return buf_result(signature);
}
