/* Sums of old forms.
 * Trusts OpenSSL's arithmetic.
 * Never compares in a time that tells of the result. */
#include "crypt/digest.h"

#include "base/secret.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

static void
put_hex(const uint8_t *octets, size_t len, char *hex)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		hex[2 * i] = digits[octets[i] >> 4];
		hex[2 * i + 1] = digits[octets[i] & 15];
	}
	hex[2 * len] = '\0';
}

bool
digest_hex(struct bytes text, size_t len, char hex[DIGEST_HEX_MAX + 1])
{
	const EVP_MD *kind = len == 16 ? EVP_md5() : len == 20 ? EVP_sha1() : len == 32 ? EVP_sha256() : NULL;
	uint8_t octets[EVP_MAX_MD_SIZE];
	bool good = kind != NULL && EVP_Digest(text.at, text.len, octets, NULL, kind, NULL) == 1;

	if (good)
		put_hex(octets, len, hex);
	secret_wipe(octets, sizeof octets);
	return good;
}

bool
digest_apop_is(struct bytes digest, struct bytes password, struct bytes timestamp)
{
	uint8_t octets[EVP_MAX_MD_SIZE];
	char hex[DIGEST_HEX_MAX + 1];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1 &&
	    EVP_DigestUpdate(ctx, timestamp.at, timestamp.len) == 1 &&
	    EVP_DigestUpdate(ctx, password.at, password.len) == 1 && EVP_DigestFinal_ex(ctx, octets, NULL) == 1;

	EVP_MD_CTX_free(ctx);
	if (!good)
		return false;
	put_hex(octets, 16, hex);
	return bytes_equal_constant_time(digest, bytes_of_string(hex));
}

bool
digest_keyed(const uint8_t key[32], struct bytes text, uint8_t hash[32])
{
	uint8_t octets[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (HMAC(EVP_sha256(), key, 32, text.at, text.len, octets, &len) == NULL || len != 32)
		return false;
	memcpy(hash, octets, 32);
	return true;
}
