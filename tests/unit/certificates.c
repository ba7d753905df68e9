/* Certificates for tests.
 * Trusts OpenSSL; a failure ends the test.
 * Never writes a file. */
#include "certificates.h"

#include "crypt/provider.h"
#include "unit.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <string.h>

EVP_PKEY *keys[N_KEYS], *ca_key;
X509 *ca;

static void
extend(X509 *c, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx(&ctx, issuer, c, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(e);
	X509_add_ext(c, e, -1);
	X509_EXTENSION_free(e);
}

X509 *
issue(EVP_PKEY *key, const char *cn, const char *names, int use, long seconds)
{
	static long serial = 1;
	X509 *c = X509_new();
	X509_NAME *n = X509_get_subject_name(c);

	X509_set_version(c, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(c), serial++);
	X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(c, use == AS_CA ? n : X509_get_subject_name(ca));
	X509_gmtime_adj(X509_getm_notBefore(c), -3600);
	X509_gmtime_adj(X509_getm_notAfter(c), seconds);
	X509_set_pubkey(c, key);
	extend(c, use == AS_CA ? c : ca, NID_basic_constraints, use == AS_CA ? "critical,CA:TRUE" : "CA:FALSE");
	if (names != NULL)
		extend(c, ca, NID_subject_alt_name, names);
	assert_true(X509_sign(c, use == AS_CA ? key : ca_key, EVP_sha256()) > 0);
	return c;
}

struct made
make_pair(EVP_PKEY *key, const char *cn, const char *names, const char *passphrase)
{
	struct made m = { .c = BIO_new(BIO_s_mem()), .k = BIO_new(BIO_s_mem()) };
	X509 *c = issue(key, cn, names, FOR_SERVER, 86400);
	char *at;

	PEM_write_bio_X509(m.c, c);
	PEM_write_bio_PrivateKey(m.k, key, passphrase == NULL ? NULL : EVP_aes_128_cbc(),
	    (const unsigned char *)passphrase, passphrase == NULL ? 0 : (int)strlen(passphrase), NULL, NULL);
	m.certificate.len = (size_t)BIO_get_mem_data(m.c, &at);
	m.certificate.at = (uint8_t *)at;
	m.key.len = (size_t)BIO_get_mem_data(m.k, &at);
	m.key.at = (uint8_t *)at;
	X509_free(c);
	return m;
}

void
drop_pair(struct made *m)
{
	BIO_free(m->c);
	BIO_free(m->k);
}

int
make_keys(void **state)
{
	struct why why = WHY_NONE;

	(void)state;
	assert_int_equal(provider_open(&why), OK);
	keys[RSA_KEY] = EVP_RSA_gen(2048);
	keys[P256_KEY] = EVP_EC_gen("P-256");
	keys[P384_KEY] = EVP_EC_gen("P-384");
	keys[ED_KEY] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	keys[OTHER_KEY] = EVP_EC_gen("P-256");
	ca_key = EVP_EC_gen("P-256");
	ca = issue(ca_key, "Test CA", NULL, AS_CA, 86400);
	return 0;
}
