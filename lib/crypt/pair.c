/* Certificates and keys of the administrator.
 * Trusts that root wrote the files, not that they are right.
 * Never leaves a key behind: it goes from the file's octets, which are the caller's, into one buffer that is wiped. */
#include "crypt/pair.h"

#include "base/secret.h"
#include "crypt/pem_reader.h"
#include "wire/wire.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#define CHAIN_MAX 10 /* certificates */

/* ---- names ---- */

static void
put_lower(struct buf *names, const uint8_t *at, size_t len)
{
	uint8_t lower[256];

	if (len == 0 || len >= sizeof lower || memchr(at, 0, len) != NULL)
		return;
	for (size_t i = 0; i < len; i++)
		lower[i] = ascii_lower(at[i]);
	wire_put(names, bytes_of(lower, len));
}

static void
put_common_name(X509 *leaf, struct buf *names)
{
	int at = X509_NAME_get_index_by_NID(X509_get_subject_name(leaf), NID_commonName, -1);
	const ASN1_STRING *text;

	if (at < 0)
		return;
	text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(X509_get_subject_name(leaf), at));
	put_lower(names, ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
}

static void
put_names(X509 *leaf, struct buf *names)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(all, i);

		if (n->type == GEN_DNS)
			put_lower(names, ASN1_STRING_get0_data(n->d.dNSName), (size_t)ASN1_STRING_length(n->d.dNSName));
	}
	GENERAL_NAMES_free(all);
	if (names->len == 0)
		put_common_name(leaf, names);
}

enum result
pair_names(struct bytes chain, struct buf *names, struct why *why)
{
	struct bytes der;
	const unsigned char *at;
	X509 *leaf;

	if (!wire_take(&chain, &der))
		return why_set(why, MALFORMED, "a chain without a certificate");
	at = der.at;
	leaf = d2i_X509(NULL, &at, (long)der.len);
	if (leaf == NULL)
		return why_set(why, MALFORMED, "a chain that does not begin with a certificate");
	put_names(leaf, names);
	X509_free(leaf);
	return names->failed ? EXHAUSTED : OK;
}

/* ---- the chain ---- */

static int64_t
seconds_of(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static bool
put_certificate(struct pair *p, X509 *c)
{
	unsigned char *der = NULL;
	int len = i2d_X509(c, &der);
	bool good = len > 0 && len <= UINT16_MAX;

	if (good)
		wire_put(&p->chain, bytes_of(der, (size_t)len));
	OPENSSL_free(der);
	return good && !p->chain.failed;
}

static bool
look_at_leaf(struct pair *p, X509 *leaf)
{
	unsigned char *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &der);
	bool good = len > 0 && EVP_Digest(der, (size_t)len, p->spki, NULL, EVP_sha256(), NULL) == 1 &&
	    X509_digest(leaf, EVP_sha256(), p->fingerprint, NULL) == 1;

	OPENSSL_free(der);
	p->not_before = seconds_of(X509_get0_notBefore(leaf));
	p->not_after = seconds_of(X509_get0_notAfter(leaf));
	put_names(leaf, &p->names);
	return good && !p->names.failed;
}

static enum result
read_chain(struct pair *p, struct bytes pem, X509 **leaf, struct why *why)
{
	struct pem_reader in = { .rest = pem };
	unsigned n = 0;
	enum result r;
	X509 *c;

	*p = (struct pair){
		.chain = buf_growing(PAIR_FILE_MAX), .names = buf_growing(64 << 10), .key = buf_growing(KEY_FILE_MAX)
	};
	(void)buf_room(&p->key, KEY_FILE_MAX); /* so that it never moves and leaves a copy */
	*leaf = NULL;
	while ((r = pem_next_certificate(&in, &c, why)) == OK) {
		if (++n > CHAIN_MAX || !put_certificate(p, c) || (n == 1 && !look_at_leaf(p, c)))
			r = why_set(why, MALFORMED,
			    n > CHAIN_MAX ? "more than 10 certificates" : "certificate %u of the file can't be taken",
			    n);
		if (*leaf == NULL)
			*leaf = c;
		else
			X509_free(c);
		if (r != OK)
			break;
	}
	if (r == ABSENT)
		r = n > 0 ? OK : why_set(why, MALFORMED, "no certificate in the file (PEM was expected)");
	return r;
}

static X509 *
take_certificate(struct bytes *chain)
{
	struct bytes der;
	const unsigned char *at;

	if (!wire_take(chain, &der))
		return NULL;
	at = der.at;
	return d2i_X509(NULL, &at, (long)der.len);
}

/* Private CAs seldom say so; public ones do, and have an issuer in between that peers need. */
static bool
says_where_issuer_is(const X509 *c)
{
	AUTHORITY_INFO_ACCESS *all = X509_get_ext_d2i(c, NID_info_access, NULL, NULL);
	bool found = false;

	for (int i = 0; i < sk_ACCESS_DESCRIPTION_num(all); i++)
		found |= OBJ_obj2nid(sk_ACCESS_DESCRIPTION_value(all, i)->method) == NID_ad_ca_issuers;
	AUTHORITY_INFO_ACCESS_free(all);
	return found;
}

const char *
pair_chain_fault(struct bytes chain, int64_t now)
{
	X509 *c = take_certificate(&chain), *issuer;
	const char *fault = NULL;

	if (c != NULL && chain.len == 0 && says_where_issuer_is(c) && X509_check_issued(c, c) != X509_V_OK)
		fault = "its issuer's certificate does not follow it in the file, and peers need it";
	while (fault == NULL && c != NULL && (issuer = take_certificate(&chain)) != NULL) {
		if (X509_check_issued(issuer, c) != X509_V_OK)
			fault = "the certificates of the file are no chain: one is not followed by its issuer's";
		else if (seconds_of(X509_get0_notAfter(issuer)) < now)
			fault = "an issuer's certificate in the file has expired";
		X509_free(c);
		c = issuer;
	}
	X509_free(c);
	return fault;
}

/* ---- the key ---- */

static int
give_passphrase(char *into, int size, int writing, void *context)
{
	const struct bytes *p = context;

	(void)writing;
	if (p->at == NULL || size < 0 || p->len > (size_t)size)
		return -1;
	memcpy(into, p->at, p->len);
	return (int)p->len;
}

static EVP_PKEY *
read_key(struct bytes pem, struct bytes passphrase)
{
	BIO *in = BIO_new_mem_buf(pem.at, (int)pem.len);
	EVP_PKEY *key = NULL;

	if (in != NULL)
		key = PEM_read_bio_PrivateKey(in, NULL, give_passphrase, &passphrase);
	BIO_free(in);
	return key;
}

static bool
has_text(struct bytes pem, const char *text)
{
	return memmem(pem.at, pem.len, text, strlen(text)) != NULL;
}

/* In words of what is in the file: OpenSSL calls most of it "unsupported". */
static const char *
fault_of_key(struct bytes pem, struct bytes passphrase)
{
	if (!has_text(pem, "PRIVATE KEY-----"))
		return "no private key in the file (PEM was expected)";
	if (has_text(pem, "ENCRYPTED"))
		return passphrase.at == NULL ? "it is encrypted, and no passphrase is given"
					     : "it is damaged, or the passphrase is wrong";
	return "it is damaged, or of an unknown kind";
}

/* Signs and verifies: a file may claim a public part that its private one does not have. */
static bool
belongs(X509 *leaf, EVP_PKEY *key)
{
	const EVP_MD *md = EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256();
	EVP_MD_CTX *a = EVP_MD_CTX_new(), *b = EVP_MD_CTX_new();
	uint8_t signature[SIGNATURE_MAX];
	size_t len = sizeof signature;
	static const uint8_t text[] = "a pair";
	bool good = a != NULL && b != NULL && X509_check_private_key(leaf, key) == 1 &&
	    EVP_DigestSignInit(a, NULL, md, NULL, key) == 1 &&
	    EVP_DigestSign(a, signature, &len, text, sizeof text) == 1 &&
	    EVP_DigestVerifyInit(b, NULL, md, NULL, X509_get0_pubkey(leaf)) == 1 &&
	    EVP_DigestVerify(b, signature, len, text, sizeof text) == 1;

	EVP_MD_CTX_free(a);
	EVP_MD_CTX_free(b);
	ERR_clear_error();
	return good;
}

/* Null; or how the certificate writes its curve or its point so that peers refuse it (RFC 5480 2.1.1, RFC 8422 5.1.2, 5.4). OpenSSL
 * itself takes both, and then shows another public key than the certificate has. */
static const char *
fault_of_point(X509 *leaf)
{
	EVP_PKEY *public = X509_get0_pubkey(leaf);
	char form[32] = "", encoding[32] = "";

	if (public == NULL || !EVP_PKEY_is_a(public, "EC"))
		return NULL;
	(void)EVP_PKEY_get_utf8_string_param(
	    public, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, form, sizeof form, NULL);
	(void)EVP_PKEY_get_utf8_string_param(public, OSSL_PKEY_PARAM_EC_ENCODING, encoding, sizeof encoding, NULL);
	if (strcmp(form, "uncompressed") != 0)
		return "the certificate does not have its public key as an uncompressed point, and peers refuse that: "
		       "have it made "
		       "again, of a request made with an uncompressed one (openssl ec -conv_form uncompressed)";
	if (strcmp(encoding, "named_curve") != 0)
		return "the certificate spells its curve out instead of naming it, which peers refuse: have it made "
		       "again, "
		       "of a request made with a named curve (openssl ec -param_enc named_curve)";
	return NULL;
}

static enum result
take_key(struct pair *p, X509 *leaf, struct bytes pem, struct bytes passphrase, struct why *why)
{
	const char *fault = fault_of_point(leaf);
	EVP_PKEY *key;
	enum result r;

	if (fault != NULL)
		return why_set(why, REFUSED, "%s", fault);
	key = read_key(pem, passphrase);
	if (key == NULL) {
		r = why_set(why, MALFORMED, "the key can't be read: %s", fault_of_key(pem, passphrase));
		ERR_clear_error();
		return r;
	}
	r = signer_encode(key, p->spki, &p->key, why);
	if (r == OK && !belongs(leaf, key))
		r = why_set(why, REFUSED, "the key does not belong to the certificate");
	EVP_PKEY_free(key);
	if (r == OK)
		p->kind = (enum key_kind)p->key.at[4];
	return r;
}

enum result
pair_read(struct pair *p, struct bytes certificates, struct bytes key, struct bytes passphrase, struct why *why)
{
	X509 *leaf;
	enum result r = read_chain(p, certificates, &leaf, why);

	if (r == OK)
		r = take_key(p, leaf, key, passphrase, why);
	X509_free(leaf);
	return r;
}

void
pair_close(struct pair *p)
{
	if (p->key.at != NULL)
		secret_wipe(p->key.at, p->key.len);
	buf_free(&p->chain);
	buf_free(&p->names);
	buf_free(&p->key);
}

enum result
pair_fingerprint(struct bytes chain, uint8_t fingerprint[FINGERPRINT_LEN])
{
	struct bytes der;

	if (!wire_take(&chain, &der) || EVP_Digest(der.at, der.len, fingerprint, NULL, EVP_sha256(), NULL) != 1)
		return MALFORMED;
	return OK;
}

static bool
is_fresh(OCSP_BASICRESP *basic)
{
	ASN1_GENERALIZEDTIME *this_update, *next_update;
	OCSP_SINGLERESP *one;
	int reason;

	for (int i = 0; i < OCSP_resp_count(basic); i++) {
		one = OCSP_resp_get0(basic, i);
		if (OCSP_single_get0_status(one, &reason, NULL, &this_update, &next_update) != V_OCSP_CERTSTATUS_GOOD ||
		    OCSP_check_validity(this_update, next_update, 300, next_update == NULL ? 86400 : -1) != 1)
			return false;
	}
	return OCSP_resp_count(basic) > 0;
}

bool
pair_staple_is_fresh(struct bytes response)
{
	const unsigned char *at = response.at;
	OCSP_RESPONSE *whole = d2i_OCSP_RESPONSE(NULL, &at, (long)response.len);
	OCSP_BASICRESP *basic = whole == NULL ? NULL : OCSP_response_get1_basic(whole);
	bool fresh = basic != NULL && OCSP_response_status(whole) == OCSP_RESPONSE_STATUS_SUCCESSFUL && is_fresh(basic);

	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(whole);
	ERR_clear_error();
	return fresh;
}
