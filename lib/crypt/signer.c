/* Signing with a private key.
 * Trusts the key file, which this house wrote; nothing about the text or who sent it.
 * Never decrypts, never signs a digest, never keeps a key longer than its struct. */
#include "crypt/signer.h"

#include "base/le.h"
#include "crypt/rsa.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <string.h>

/* ---- the file: "PnK2", kind, spki, then fields of a length (two octets) and a number or octets ---- */

static const uint8_t magic[4] = { 'P', 'n', 'K', '2' };
#define HEAD_LEN (sizeof magic + 1 + SPKI_LEN)

enum field_kind { NUMBER, OCTETS };

struct field {
	const char *name;
	enum field_kind kind;
	bool secret;
};
#define FIELDS_MAX 8

static const struct form {
	const char *type, *group;
	enum key_kind kind;
	struct field fields[FIELDS_MAX];
} forms[] = {
	{ "RSA", NULL, KEY_RSA,
	    { { OSSL_PKEY_PARAM_RSA_N, NUMBER, false }, { OSSL_PKEY_PARAM_RSA_E, NUMBER, false },
		{ OSSL_PKEY_PARAM_RSA_D, NUMBER, true }, { OSSL_PKEY_PARAM_RSA_FACTOR1, NUMBER, true },
		{ OSSL_PKEY_PARAM_RSA_FACTOR2, NUMBER, true }, { OSSL_PKEY_PARAM_RSA_EXPONENT1, NUMBER, true },
		{ OSSL_PKEY_PARAM_RSA_EXPONENT2, NUMBER, true }, { OSSL_PKEY_PARAM_RSA_COEFFICIENT1, NUMBER, true } } },
	{ "EC", "prime256v1", KEY_P256,
	    { { OSSL_PKEY_PARAM_PUB_KEY, OCTETS, false }, { OSSL_PKEY_PARAM_PRIV_KEY, NUMBER, true } } },
	{ "EC", "secp384r1", KEY_P384,
	    { { OSSL_PKEY_PARAM_PUB_KEY, OCTETS, false }, { OSSL_PKEY_PARAM_PRIV_KEY, NUMBER, true } } },
	{ "ED25519", NULL, KEY_ED25519,
	    { { OSSL_PKEY_PARAM_PUB_KEY, OCTETS, false }, { OSSL_PKEY_PARAM_PRIV_KEY, OCTETS, true } } },
};

static bool
has_form(EVP_PKEY *key, const struct form *f)
{
	char group[64];

	if (!EVP_PKEY_is_a(key, f->type))
		return false;
	return f->group == NULL ||
	    (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, NULL) == 1 &&
		strcmp(group, f->group) == 0);
}

static const struct form *
form_of(EVP_PKEY *key, struct why *why)
{
	for (size_t i = 0; i < nitems(forms); i++) {
		if (!has_form(key, &forms[i]))
			continue;
		if (forms[i].kind == KEY_RSA && EVP_PKEY_get_bits(key) < 2048) {
			(void)why_set(
			    why, REFUSED, "an RSA key of %d bits is too short (2048 at least)", EVP_PKEY_get_bits(key));
			return NULL;
		}
		return &forms[i];
	}
	(void)why_set(why, REFUSED, "the key is neither RSA nor P-256, P-384 or Ed25519");
	return NULL;
}

static bool
add_field(EVP_PKEY *key, const struct field *f, struct buf *file)
{
	uint8_t octets[1024 + 2];
	BIGNUM *n = NULL;
	size_t len = 0;
	bool done;

	if (f->kind == OCTETS)
		done = EVP_PKEY_get_octet_string_param(key, f->name, octets + 2, sizeof octets - 2, &len) == 1;
	else {
		done = EVP_PKEY_get_bn_param(key, f->name, &n) == 1 && (size_t)BN_num_bytes(n) <= sizeof octets - 2;
		if (done)
			len = (size_t)BN_bn2bin(n, octets + 2);
		BN_clear_free(n);
	}
	le16_put(octets, (uint16_t)len);
	if (done)
		buf_add(file, bytes_of(octets, len + 2));
	OPENSSL_cleanse(octets, sizeof octets);
	return done;
}

static void
put_field(void *to, struct bytes number)
{
	uint8_t len[2];

	le16_put(len, (uint16_t)number.len);
	buf_add(to, bytes_of(len, sizeof len));
	buf_add(to, number);
}

static enum result
add_blinds(EVP_PKEY *key, struct buf *file, struct why *why)
{
	BIGNUM *n = NULL, *e = NULL;
	enum result r = BROKEN;

	if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
	    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) == 1)
		r = rsa_put_blinds(n, e, put_field, file, why);
	BN_free(n);
	BN_free(e);
	return r;
}

enum result
signer_encode(EVP_PKEY *key, const uint8_t spki[SPKI_LEN], struct buf *file, struct why *why)
{
	const struct form *f = form_of(key, why);

	if (f == NULL)
		return REFUSED;
	/* a point is written whole, however it came */
	if (f->group != NULL)
		(void)EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "uncompressed");
	buf_add(file, bytes_of(magic, sizeof magic));
	buf_add_octet(file, (uint8_t)f->kind);
	buf_add(file, bytes_of(spki, SPKI_LEN));
	for (size_t i = 0; i < FIELDS_MAX && f->fields[i].name != NULL; i++)
		if (!add_field(key, &f->fields[i], file))
			return why_set(why, REFUSED, "the %s key lacks one of its numbers", key_kind_name(f->kind));
	if (f->kind == KEY_RSA && add_blinds(key, file, why) != OK)
		return why_set(why, BROKEN, "the RSA key can't be prepared");
	return file->failed ? why_set(why, EXHAUSTED, "the key is too large") : OK;
}

/* ---- reading it ---- */

static bool
next_field(struct bytes *rest, struct bytes *field)
{
	size_t len;

	if (rest->len < 2 || (len = le16_get(rest->at)) > rest->len - 2)
		return false;
	*field = bytes_first(bytes_skip(*rest, 2), len);
	*rest = bytes_skip(*rest, 2 + len);
	return true;
}

static bool
push_field(OSSL_PARAM_BLD *b, const struct field *f, struct bytes octets, BIGNUM **n)
{
	if (f->kind == OCTETS)
		return OSSL_PARAM_BLD_push_octet_string(b, f->name, octets.at, octets.len) == 1;
	*n = f->secret ? BN_secure_new() : BN_new();
	if (*n == NULL || BN_bin2bn(octets.at, (int)octets.len, *n) == NULL)
		return false;
	if (f->secret)
		BN_set_flags(*n, BN_FLG_CONSTTIME);
	return OSSL_PARAM_BLD_push_BN(b, f->name, *n) == 1;
}

static EVP_PKEY *
build_key(const struct form *f, struct bytes rest)
{
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, f->type, NULL);
	BIGNUM *numbers[FIELDS_MAX] = { NULL };
	OSSL_PARAM *params = NULL;
	struct bytes octets;
	EVP_PKEY *key = NULL;
	bool good = b != NULL && c != NULL;

	if (good && f->group != NULL)
		good = OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, f->group, 0) == 1;
	for (size_t i = 0; good && i < FIELDS_MAX && f->fields[i].name != NULL; i++)
		good = next_field(&rest, &octets) && push_field(b, &f->fields[i], octets, &numbers[i]);
	if (good && rest.len == 0 && (params = OSSL_PARAM_BLD_to_param(b)) != NULL && EVP_PKEY_fromdata_init(c) == 1 &&
	    EVP_PKEY_fromdata(c, &key, EVP_PKEY_KEYPAIR, params) != 1)
		key = NULL;
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(b);
	EVP_PKEY_CTX_free(c);
	for (size_t i = 0; i < FIELDS_MAX; i++)
		BN_clear_free(numbers[i]);
	return key;
}

static struct rsa_key *
build_rsa(struct bytes rest)
{
	struct bytes fields[RSA_FIELDS];

	for (size_t i = 0; i < RSA_FIELDS; i++)
		if (!next_field(&rest, &fields[i]))
			return NULL;
	return rest.len == 0 ? rsa_open(fields) : NULL;
}

enum result
signer_open(struct signer *s, struct bytes file, const uint8_t spki[SPKI_LEN], struct why *why)
{
	*s = SIGNER_NONE;
	if (file.len < HEAD_LEN || memcmp(file.at, magic, sizeof magic) != 0)
		return why_set(why, MALFORMED, "not a key file of this house");
	if (memcmp(file.at + sizeof magic + 1, spki, SPKI_LEN) != 0)
		return why_set(why, REFUSED, "the key is not that of the certificate");
	for (size_t i = 0; i < nitems(forms); i++)
		if (file.at[sizeof magic] == forms[i].kind) {
			s->kind = forms[i].kind;
			if (s->kind == KEY_RSA)
				s->rsa = build_rsa(bytes_skip(file, HEAD_LEN));
			else
				s->key = build_key(&forms[i], bytes_skip(file, HEAD_LEN));
		}
	if (s->key == NULL && s->rsa == NULL)
		return why_set(why, MALFORMED, "the key file does not hold a key");
	return OK;
}

void
signer_close(struct signer *s)
{
	rsa_close(s->rsa);
	EVP_PKEY_free(s->key); /* OpenSSL clears private numbers as it frees them */
	*s = SIGNER_NONE;
}

/* ---- signing ---- */

static enum result
sign(EVP_PKEY *key, const struct signing_scheme *scheme, struct bytes text, struct buf *signature, struct why *why)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	EVP_PKEY_CTX *k = NULL;
	uint8_t octets[SIGNATURE_MAX];
	size_t len = sizeof octets;
	bool good;

	good = c != NULL && EVP_DigestSignInit_ex(c, &k, scheme->digest, NULL, NULL, key, NULL) == 1;
	good = good && EVP_DigestSign(c, octets, &len, text.at, text.len) == 1;
	EVP_MD_CTX_free(c);
	if (!good)
		return why_set(why, BROKEN, "OpenSSL made no %s signature: %s", scheme->name,
		    ERR_reason_error_string(ERR_peek_last_error()));
	buf_add(signature, bytes_of(octets, len));
	return buf_result(signature);
}

enum result
signer_sign(const struct signer *s, enum signing_purpose purpose, uint16_t code, struct bytes text,
    struct buf *signature, struct why *why)
{
	const struct signing_scheme *scheme = signing_scheme_of(code);
	enum signing_form form;
	enum result r;

	if ((r = signing_text_check(purpose, text, &form, why)) != OK)
		return r;
	if (scheme == NULL || !signing_scheme_fits(scheme, s->kind, form))
		return why_set(why, REFUSED, "signature scheme 0x%04x is not for a key of kind %s here", code,
		    key_kind_name(s->kind));
	return s->rsa != NULL ? rsa_sign(s->rsa, scheme, text, signature, why)
			      : sign(s->key, scheme, text, signature, why);
}

/* ---- before and after the fork ---- */

static enum result
warm_one(EVP_PKEY *key, uint16_t scheme, const uint8_t *text, struct why *why)
{
	static const uint8_t spki[SPKI_LEN];
	uint8_t file[KEY_FILE_MAX], room[SIGNATURE_MAX];
	struct buf encoded = BUF_OVER(file), signature = BUF_OVER(room);
	struct signer s = SIGNER_NONE;
	enum result r = why_set(NULL, BROKEN, "no key");

	if (key == NULL)
		return why_set(why, BROKEN, "OpenSSL makes no keys");
	if ((r = signer_encode(key, spki, &encoded, why)) == OK &&
	    (r = signer_open(&s, buf_bytes(&encoded), spki, why)) == OK)
		r = signer_sign(&s, SIGN_TLS_SERVER, scheme, bytes_of(text, 130), &signature, why);
	signer_close(&s);
	EVP_PKEY_free(key);
	return r;
}

enum result
signer_warm(struct why *why)
{
	static const char label[] = "TLS 1.3, server CertificateVerify";
	uint8_t text[130] = { 0 };
	enum result r;

	if ((r = provider_open(why)) != OK)
		return r;
	memset(text, ' ', 64);
	memcpy(text + 64, label, sizeof label);
	if ((r = warm_one(EVP_EC_gen("P-256"), 0x0403, text, why)) != OK ||
	    (r = warm_one(EVP_EC_gen("P-384"), 0x0503, text, why)) != OK)
		return r;
	return warm_one(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), 0x0807, text, why);
}

enum result
signer_seed(struct why *why)
{
	uint8_t octets[16];

	if (RAND_bytes(octets, sizeof octets) != 1 || RAND_priv_bytes(octets, sizeof octets) != 1)
		return why_set(why, BROKEN, "no randomness");
	return OK;
}

void
signer_key_name(const uint8_t spki[SPKI_LEN], char name[KEY_NAME_LEN + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < SPKI_LEN; i++) {
		name[2 * i] = digits[spki[i] >> 4];
		name[2 * i + 1] = digits[spki[i] & 15];
	}
	name[KEY_NAME_LEN] = '\0';
}

void
signer_record_name(struct bytes certificate_file, char name[RECORD_NAME_LEN + 1])
{
	uint8_t hash[SPKI_LEN] = { 0 };

	(void)EVP_Digest(certificate_file.at, certificate_file.len, hash, NULL, EVP_sha256(), NULL);
	memcpy(name, RECORD_PREFIX, sizeof RECORD_PREFIX - 1);
	signer_key_name(hash, name + sizeof RECORD_PREFIX - 1);
}

void
signer_chosen_name(const uint8_t spki[SPKI_LEN], char name[CHOSEN_NAME_LEN + 1])
{
	memcpy(name, CHOSEN_PREFIX, sizeof CHOSEN_PREFIX - 1);
	signer_key_name(spki, name + sizeof CHOSEN_PREFIX - 1);
}
