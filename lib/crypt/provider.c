/* A provider of keys without private parts.
 * Trusts OpenSSL to call what it was given; the signer's answer is taken as octets and goes to the peer, who verifies it.
 * Never holds, imports or exports a private number; never signs anything itself. */
#include "crypt/provider.h"

#include "crypt/signing_text.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

#define PROVIDER "postern"
#define ONLY_OURS "provider=" PROVIDER

static struct {
	remote_sign *sign;
	void *context;
	struct why failure;
} signer;

void
provider_set_signer(remote_sign *sign, void *context)
{
	signer.sign = sign;
	signer.context = context;
	signer.failure = WHY_NONE;
}

const char *
provider_failure(void)
{
	return signer.failure.text;
}

/* OpenSSL keeps functions of all kinds as one type. */
#define FUNCTION(id, f) \
	{ \
		id, (void (*)(void))(f) \
	}
#define NO_FUNCTION \
	{ \
		0, NULL \
	}

/* ---- keys: a public key of the default provider, and its name for the signer ---- */

struct key {
	const char *type; /* of the default provider */
	EVP_PKEY *public;
	uint8_t spki[SPKI_LEN];
};

static struct key *
key_new(const char *type)
{
	struct key *k = OPENSSL_zalloc(sizeof *k);

	if (k != NULL)
		k->type = type;
	return k;
}

static void *
rsa_new(void *provider)
{
	(void)provider;
	return key_new("RSA");
}

static void *
ec_new(void *provider)
{
	(void)provider;
	return key_new("EC");
}

static void *
ed25519_new(void *provider)
{
	(void)provider;
	return key_new("ED25519");
}

static void
key_free(void *at)
{
	struct key *k = at;

	if (k == NULL)
		return;
	EVP_PKEY_free(k->public);
	OPENSSL_free(k);
}

/* Holds everything that is asked of a pair; the private part is with the signer. */
static int
key_has(const void *at, int selection)
{
	const struct key *k = at;

	(void)selection;
	return k != NULL && k->public != NULL;
}

static int
key_match(const void *a, const void *b, int selection)
{
	const struct key *k = a, *l = b;

	(void)selection;
	return k->public != NULL && l->public != NULL && EVP_PKEY_eq(k->public, l->public) == 1;
}

static bool
name_key(struct key *k)
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(k->public, &der);
	bool done = len > 0 && EVP_Digest(der, (size_t)len, k->spki, NULL, EVP_sha256(), NULL) == 1;

	OPENSSL_free(der);
	return done;
}

static int
key_import(void *at, int selection, const OSSL_PARAM params[])
{
	struct key *k = at;
	EVP_PKEY_CTX *c;
	int done = 0;

	if ((selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) == 0 || k->public != NULL)
		return 0;
	c = EVP_PKEY_CTX_new_from_name(NULL, k->type, "provider=default");
	if (c != NULL && EVP_PKEY_fromdata_init(c) == 1)
		done = EVP_PKEY_fromdata(c, &k->public, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)(uintptr_t)params) == 1 &&
		    name_key(k);
	EVP_PKEY_CTX_free(c);
	return done;
}

static int
key_export(void *at, int selection, OSSL_CALLBACK *give, void *context)
{
	const struct key *k = at;
	OSSL_PARAM *params = NULL;
	int done;

	if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 || k->public == NULL ||
	    EVP_PKEY_todata(k->public, EVP_PKEY_PUBLIC_KEY, &params) != 1)
		return 0;
	done = give(params, context);
	OSSL_PARAM_free(params);
	return done;
}

/* Any type of parameter may come and go; the default provider's key knows which. */
static const OSSL_PARAM *
key_types(int selection)
{
	static const OSSL_PARAM types[] = { OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0), OSSL_PARAM_END };

	(void)selection;
	return types;
}

static int
key_get_params(void *at, OSSL_PARAM params[])
{
	const struct key *k = at;

	return k->public != NULL && EVP_PKEY_get_params(k->public, params) == 1;
}

static const OSSL_PARAM *
key_gettable(void *provider)
{
	static const OSSL_PARAM gettable[] = { OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL), OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0), OSSL_PARAM_END };

	(void)provider;
	return gettable;
}

static const char *
ec_operation(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

#define KEY_FUNCTIONS \
	FUNCTION(OSSL_FUNC_KEYMGMT_FREE, key_free), FUNCTION(OSSL_FUNC_KEYMGMT_HAS, key_has), \
	    FUNCTION(OSSL_FUNC_KEYMGMT_MATCH, key_match), FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT, key_import), \
	    FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, key_types), FUNCTION(OSSL_FUNC_KEYMGMT_EXPORT, key_export), \
	    FUNCTION(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, key_types), \
	    FUNCTION(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params), \
	    FUNCTION(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable)

static const OSSL_DISPATCH rsa_keys[] = { FUNCTION(OSSL_FUNC_KEYMGMT_NEW, rsa_new), KEY_FUNCTIONS, NO_FUNCTION };
static const OSSL_DISPATCH ec_keys[] = { FUNCTION(OSSL_FUNC_KEYMGMT_NEW, ec_new), KEY_FUNCTIONS,
	FUNCTION(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, ec_operation), NO_FUNCTION };
static const OSSL_DISPATCH ed25519_keys[] = { FUNCTION(OSSL_FUNC_KEYMGMT_NEW, ed25519_new), KEY_FUNCTIONS,
	NO_FUNCTION };

/* ---- signatures: one call with the whole text ---- */

struct signing {
	const struct key *key; /* outlives this: the EVP_PKEY_CTX holds it */
	bool pss;
	char digest[32];
};

static void *
signing_new(void *provider, const char *properties)
{
	(void)provider;
	(void)properties;
	return OPENSSL_zalloc(sizeof(struct signing));
}

static void
signing_free(void *at)
{
	OPENSSL_free(at);
}

static void *
signing_copy(void *at)
{
	struct signing *new = OPENSSL_malloc(sizeof *new);

	if (new != NULL)
		*new = *(struct signing *)at;
	return new;
}

static int
signing_set_params(void *at, const OSSL_PARAM params[])
{
	struct signing *s = at;
	const OSSL_PARAM *p;
	char *text;
	int mode;

	if (params == NULL || (p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE)) == NULL)
		return 1;
	if (p->data_type == OSSL_PARAM_INTEGER && OSSL_PARAM_get_int(p, &mode) == 1) {
		s->pss = mode == RSA_PKCS1_PSS_PADDING;
		return s->pss || mode == RSA_PKCS1_PADDING;
	}
	text = p->data;
	if (p->data_type != OSSL_PARAM_UTF8_STRING || text == NULL)
		return 0;
	s->pss = strcmp(text, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0;
	return s->pss || strcmp(text, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 0;
}

static const OSSL_PARAM *
signing_settable(void *at, void *provider)
{
	static const OSSL_PARAM settable[] = { OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0), OSSL_PARAM_END };

	(void)at;
	(void)provider;
	return settable;
}

static int
signing_begin(void *at, const char *digest, void *key, const OSSL_PARAM params[])
{
	struct signing *s = at;

	if (key != NULL)
		s->key = key;
	s->digest[0] = '\0';
	if (digest != NULL && strlen(digest) < sizeof s->digest)
		memcpy(s->digest, digest, strlen(digest) + 1);
	return s->key != NULL && signing_set_params(s, params);
}

/* The TLS scheme that stands for key, padding and digest; 0 if there is none. */
static uint16_t
scheme_of(const struct signing *s)
{
	static const uint16_t codes[] = { 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0403, 0x0503, 0x0603,
		0x0807 };
	bool rsa = strcmp(s->key->type, "RSA") == 0, ed = strcmp(s->key->type, "ED25519") == 0;

	for (size_t i = 0; i < nitems(codes); i++) {
		const struct signing_scheme *c = signing_scheme_of(codes[i]);

		if (c == NULL || (c->key == KEY_RSA) != rsa || (c->key == KEY_ED25519) != ed ||
		    (rsa && c->pss != s->pss))
			continue;
		if (c->digest == NULL ? s->digest[0] == '\0' : EVP_MD_is_a(EVP_get_digestbyname(c->digest), s->digest))
			return c->code;
	}
	return 0;
}

static int
signing_do(void *at, unsigned char *signature, size_t *len, size_t size, const unsigned char *text, size_t text_len)
{
	struct signing *s = at;
	struct buf out = buf_over(signature, size);
	uint16_t scheme = scheme_of(s);

	if (signature == NULL) {
		*len = (size_t)EVP_PKEY_get_size(s->key->public);
		return 1;
	}
	signer.failure = WHY_NONE;
	if (scheme == 0 || signer.sign == NULL) {
		(void)why_set(&signer.failure, REFUSED,
		    scheme == 0 ? "a signature that no TLS scheme names" : "there is no signer");
		return 0;
	}
	if (signer.sign(signer.context, s->key->spki, scheme, bytes_of(text, text_len), &out, &signer.failure) != OK ||
	    out.failed) {
		(void)why_set(&signer.failure, BROKEN, "the signer gave no signature that fits");
		return 0;
	}
	*len = out.len;
	return 1;
}

static const OSSL_DISPATCH signatures[] = {
	FUNCTION(OSSL_FUNC_SIGNATURE_NEWCTX, signing_new),
	FUNCTION(OSSL_FUNC_SIGNATURE_FREECTX, signing_free),
	FUNCTION(OSSL_FUNC_SIGNATURE_DUPCTX, signing_copy),
	FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, signing_begin),
	FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, signing_do),
	FUNCTION(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, signing_set_params),
	FUNCTION(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, signing_settable),
	NO_FUNCTION,
};

/* ---- the provider ---- */

static const OSSL_ALGORITHM key_algorithms[] = {
	{ "RSA:rsaEncryption:1.2.840.113549.1.1.1", ONLY_OURS, rsa_keys, "keys held elsewhere" },
	{ "EC:id-ecPublicKey:1.2.840.10045.2.1", ONLY_OURS, ec_keys, "keys held elsewhere" },
	{ "ED25519:1.3.101.112", ONLY_OURS, ed25519_keys, "keys held elsewhere" },
	{ NULL, NULL, NULL, NULL },
};
static const OSSL_ALGORITHM signature_algorithms[] = {
	{ "RSA:rsaEncryption:1.2.840.113549.1.1.1", ONLY_OURS, signatures, "signatures made elsewhere" },
	{ "ECDSA", ONLY_OURS, signatures, "signatures made elsewhere" },
	{ "ED25519:1.3.101.112", ONLY_OURS, signatures, "signatures made elsewhere" },
	{ NULL, NULL, NULL, NULL },
};

static const OSSL_ALGORITHM *
query(void *provider, int operation, int *no_cache)
{
	(void)provider;
	*no_cache = 0;
	return operation == OSSL_OP_KEYMGMT  ? key_algorithms
	    : operation == OSSL_OP_SIGNATURE ? signature_algorithms
					     : NULL;
}

static int
provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **provider)
{
	static const OSSL_DISPATCH functions[] = { FUNCTION(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query), NO_FUNCTION };
	static int self;

	(void)handle;
	(void)in;
	*out = functions;
	*provider = &self;
	return 1;
}

enum result
provider_open(struct why *why)
{
	static bool done;

	if (done)
		return OK;
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) != 1 ||
	    OSSL_PROVIDER_load(NULL, "default") == NULL ||
	    OSSL_PROVIDER_add_builtin(NULL, PROVIDER, provider_init) != 1 ||
	    OSSL_PROVIDER_load(NULL, PROVIDER) == NULL || EVP_set_default_properties(NULL, "?provider=default") != 1)
		return why_set(why, BROKEN, "OpenSSL does not take our provider");
	done = true;
	return OK;
}

EVP_PKEY *
provider_key(EVP_PKEY *public_key, uint8_t spki[SPKI_LEN], struct why *why)
{
	static const char *const types[] = { "RSA", "EC", "ED25519" };
	EVP_PKEY_CTX *c = NULL;
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key = NULL;
	unsigned char *der = NULL;
	int len;

	for (size_t i = 0; i < nitems(types) && c == NULL; i++)
		if (EVP_PKEY_is_a(public_key, types[i]))
			c = EVP_PKEY_CTX_new_from_name(NULL, types[i], ONLY_OURS);
	if (c == NULL || EVP_PKEY_todata(public_key, EVP_PKEY_PUBLIC_KEY, &params) != 1 ||
	    EVP_PKEY_fromdata_init(c) != 1 || EVP_PKEY_fromdata(c, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		(void)why_set(why, REFUSED, "a certificate's key is of a kind that is not served");
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(c);
	if (key != NULL &&
	    ((len = i2d_PUBKEY(public_key, &der)) <= 0 ||
		EVP_Digest(der, (size_t)len, spki, NULL, EVP_sha256(), NULL) != 1)) {
		(void)why_set(why, BROKEN, "a certificate's key can't be encoded");
		EVP_PKEY_free(key);
		key = NULL;
	}
	OPENSSL_free(der);
	return key;
}
