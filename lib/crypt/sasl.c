/* PLAIN and CRAM-MD5, and what all mechanisms share.
 * Trusts neither side's text for its form.
 * Never compares a secret in a time that tells of it, never leaves one on the stack. */
#include "crypt/sasl.h"

#include "base/base64.h"
#include "base/secret.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <sys/random.h>

#define MD5_LEN 16

enum result
sasl_open(struct why *why)
{
	static const uint8_t text[1];
	struct scram_keys k;
	uint8_t room[64];
	struct buf b = BUF_OVER(room);
	enum result r;

	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL) != 1)
		return why_set(why, BROKEN, "OpenSSL can't be prepared");
	if ((r = scram_derive(BYTES("x"), bytes_of(text, 1), SCRAM_ITERATIONS_MIN, &k, why)) != OK)
		return r;
	r = sasl_cram_md5_say(BYTES("x"), BYTES("x"), BYTES("x"), &b);
	return r == OK ? OK : why_set(why, r, "OpenSSL has no MD5");
}

enum result
sasl_nonce(char nonce[SASL_NONCE_LEN + 1], struct why *why)
{
	uint8_t octets[SASL_NONCE_LEN / 4 * 3];
	struct buf b = buf_over(nonce, SASL_NONCE_LEN + 1);

	if (getrandom(octets, sizeof octets, 0) != (ssize_t)sizeof octets)
		return why_errno(why, BROKEN, "no randomness");
	base64_encode(bytes_of(octets, sizeof octets), &b);
	return buf_string(&b) != NULL ? OK : why_set(why, BROKEN, "a nonce that is too long");
}

static bool
may_be_said(struct bytes text)
{
	return text.len <= SASL_NAME_MAX && bytes_find(text, '\0') == text.len;
}

/* ---- PLAIN ---- */

enum result
sasl_plain_say(struct bytes name, struct bytes password, struct buf *message)
{
	if (name.len == 0 || !may_be_said(name) || !may_be_said(password))
		return MALFORMED;
	buf_add_octet(message, '\0');
	buf_add(message, name);
	buf_add_octet(message, '\0');
	buf_add(message, password);
	return buf_result(message);
}

enum result
sasl_plain_take(struct bytes message, struct bytes *other, struct bytes *name, struct bytes *password)
{
	size_t first = bytes_find(message, '\0'), second;

	if (first < message.len &&
	    bytes_find_last(message, '\0') == first) { /* only one: what is before it is the name */
		*other = BYTES("");
		*name = bytes_first(message, first);
		*password = bytes_skip(message, first + 1);
		return MALFORMED;
	}
	if (first == message.len) { /* whatever it is, a password may be in it */
		*other = *name = *password = BYTES("");
		return MALFORMED;
	}
	*other = bytes_first(message, first);
	message = bytes_skip(message, first + 1);
	second = bytes_find(message, '\0');
	*name = bytes_first(message, second);
	*password = bytes_skip(message, second + 1);
	/* RFC 4616 2: neither is empty */
	return second < message.len && name->len > 0 && password->len > 0 && other->len <= SASL_NAME_MAX &&
		may_be_said(*name) && may_be_said(*password)
	    ? OK
	    : MALFORMED;
}

/* ---- CRAM-MD5 ---- */

static bool
keyed_md5(struct bytes password, struct bytes challenge, char hex[2 * MD5_LEN + 1])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t octets[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (HMAC(EVP_md5(), password.at, (int)password.len, challenge.at, challenge.len, octets, &len) == NULL ||
	    len != MD5_LEN)
		return false;
	for (size_t i = 0; i < MD5_LEN; i++) {
		hex[2 * i] = digits[octets[i] >> 4];
		hex[2 * i + 1] = digits[octets[i] & 15];
	}
	hex[2 * MD5_LEN] = '\0';
	return true;
}

enum result
sasl_cram_md5_say(struct bytes name, struct bytes password, struct bytes challenge, struct buf *message)
{
	char hex[2 * MD5_LEN + 1];

	if (name.len == 0 || !may_be_said(name) || !may_be_said(password) || challenge.len > SASL_TEXT_MAX)
		return MALFORMED;
	if (!keyed_md5(password, challenge, hex))
		return BROKEN;
	buf_add(message, name);
	buf_add_octet(message, ' ');
	buf_add_string(message, hex);
	return buf_result(message);
}

enum result
sasl_cram_md5_take(struct bytes message, struct bytes *name, struct bytes *digest)
{
	size_t blank = bytes_find_last(message, ' ');

	*name = bytes_first(message, blank);
	*digest = bytes_skip(message, blank + 1);
	return blank < message.len && name->len > 0 && may_be_said(*name) && digest->len == 2 * MD5_LEN ? OK
													: MALFORMED;
}

bool
sasl_cram_md5_is(struct bytes digest, struct bytes password, struct bytes challenge)
{
	char hex[2 * MD5_LEN + 1];

	return keyed_md5(password, challenge, hex) && bytes_equal_constant_time(digest, bytes_of(hex, sizeof hex - 1));
}
