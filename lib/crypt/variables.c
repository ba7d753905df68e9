/* A connection as the variables that mod_ssl and ucspi-ssl set for a program.
 * Trusts the verification that OpenSSL made: of a certificate that did not verify only that is told.
 * Never passes on an octet that could end a variable or drive a terminal. */
#include "crypt/internal.h"

#include "crypt/variables.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#define NAMES_MAX 16 /* alternative names of a kind */

/* ---- one variable ---- */

static void
put_clean(struct buf *out, const void *from, size_t len)
{
	const uint8_t *at = from;

	for (size_t i = 0; i < len; i++)
		buf_add_octet(out, at[i] < 0x20 || at[i] == 0x7f ? '?' : at[i]);
}

static void
put(struct buf *out, const char *whose, const char *name, const void *value, size_t len)
{
	buf_format(out, "SSL_%s%s=", whose, name);
	put_clean(out, value, len);
	buf_add_octet(out, '\0');
}

static void
put_text(struct buf *out, const char *whose, const char *name, const char *value)
{
	if (value != NULL)
		put(out, whose, name, value, strlen(value));
}

static void
put_hex(struct buf *out, const char *name, const uint8_t *at, size_t len)
{
	buf_format(out, "SSL_%s=", name);
	for (size_t i = 0; i < len; i++)
		buf_format(out, "%02X", at[i]);
	buf_add_octet(out, '\0');
}

/* What a BIO was filled with; lines end within a certificate only. */
static void
put_bio(struct buf *out, const char *whose, const char *name, BIO *from, bool lines)
{
	char *text;
	long len = BIO_get_mem_data(from, &text);

	if (len <= 0)
		return;
	if (!lines)
		put(out, whose, name, text, (size_t)len);
	else {
		buf_format(out, "SSL_%s%s=", whose, name);
		buf_add(out, bytes_of(text, (size_t)len));
		buf_add_octet(out, '\0');
	}
}

/* ---- names ---- */

static const struct {
	int nid;
	const char *name;
} parts[] = {
	{ NID_countryName, "C" },
	{ NID_stateOrProvinceName, "ST" },
	{ NID_localityName, "L" },
	{ NID_organizationName, "O" },
	{ NID_organizationalUnitName, "OU" },
	{ NID_commonName, "CN" },
	{ NID_title, "T" },
	{ NID_initials, "I" },
	{ NID_givenName, "G" },
	{ NID_surname, "S" },
	{ NID_description, "D" },
	{ NID_x500UniqueIdentifier, "UID" },
	{ NID_pkcs9_emailAddress, "Email" },
};

static void
put_name(struct buf *out, const char *whose, const char *of, const X509_NAME *name)
{
	char text[1024], variable[32];

	if (X509_NAME_oneline(name, text, sizeof text) != NULL)
		put_text(out, whose, of, text);
	for (size_t i = 0; i < nitems(parts); i++) {
		int at = X509_NAME_get_index_by_NID(name, parts[i].nid, -1);
		const ASN1_STRING *s;

		if (at < 0)
			continue;
		s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
		(void)BIO_snprintf(variable, sizeof variable, "%s_%s", of, parts[i].name);
		put(out, whose, variable, ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
	}
}

static void
put_alternative_names(struct buf *out, const char *whose, const X509 *c)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(c, NID_subject_alt_name, NULL, NULL);
	unsigned n_mail = 0, n_dns = 0;
	char variable[32];

	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
		bool is_mail = g->type == GEN_EMAIL;
		unsigned *n = is_mail ? &n_mail : &n_dns;

		if ((!is_mail && g->type != GEN_DNS) || *n == NAMES_MAX)
			continue;
		(void)BIO_snprintf(variable, sizeof variable, "SAN_%s_%u", is_mail ? "Email" : "DNS", (*n)++);
		put(out, whose, variable, ASN1_STRING_get0_data(g->d.ia5), (size_t)ASN1_STRING_length(g->d.ia5));
	}
	GENERAL_NAMES_free(all);
}

/* ---- certificates ---- */

static void
put_time(struct buf *out, const char *whose, const char *name, const ASN1_TIME *at)
{
	BIO *text = BIO_new(BIO_s_mem());

	if (text != NULL && ASN1_TIME_print(text, at) == 1)
		put_bio(out, whose, name, text, false);
	BIO_free(text);
}

static void
put_pem(struct buf *out, const char *whose, const char *name, const X509 *c)
{
	BIO *text = BIO_new(BIO_s_mem());

	if (text != NULL && PEM_write_bio_X509(text, c) == 1)
		put_bio(out, whose, name, text, true);
	BIO_free(text);
}

static void
put_algorithms(struct buf *out, const char *whose, const X509 *c)
{
	const EVP_PKEY *key = X509_get0_pubkey(c);

	put_text(out, whose, "A_SIG", OBJ_nid2ln(X509_get_signature_nid(c)));
	if (key != NULL)
		put_text(out, whose, "A_KEY", OBJ_nid2ln(EVP_PKEY_get_base_id(key)));
}

void
certificate_variables(struct buf *out, const char *whose, const X509 *c)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(c);
	BIO *text = BIO_new(BIO_s_mem());
	char version[16];

	(void)BIO_snprintf(version, sizeof version, "%ld", X509_get_version(c) + 1);
	put_text(out, whose, "M_VERSION", version);
	if (text != NULL && i2a_ASN1_INTEGER(text, serial) > 0)
		put_bio(out, whose, "M_SERIAL", text, false);
	BIO_free(text);
	put_time(out, whose, "V_START", X509_get0_notBefore(c));
	put_time(out, whose, "V_END", X509_get0_notAfter(c));
	put_name(out, whose, "S_DN", X509_get_subject_name(c));
	put_name(out, whose, "I_DN", X509_get_issuer_name(c));
	put_alternative_names(out, whose, c);
	put_algorithms(out, whose, c);
	put_pem(out, whose, "CERT", c);
}

static void
put_peer(struct buf *out, const char *whose, const SSL *ssl)
{
	const X509 *peer = SSL_get0_peer_certificate(ssl);
	const STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
	long verified = SSL_get_verify_result(ssl);
	char text[160];

	if (peer == NULL) {
		put_text(out, whose, "VERIFY", "NONE");
		return;
	}
	(void)BIO_snprintf(text, sizeof text, "FAILED:%s", X509_verify_cert_error_string(verified));
	put_text(out, whose, "VERIFY", verified == X509_V_OK ? "SUCCESS" : text);
	if (verified != X509_V_OK)
		return;
	certificate_variables(out, whose, peer);
	for (int i = 0; i < sk_X509_num(chain); i++) {
		(void)BIO_snprintf(text, sizeof text, "CERT_CHAIN_%d", i);
		put_pem(out, whose, text, sk_X509_value(chain, i));
	}
}

void
tls_variables(const struct tls_session *s, struct buf *out)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(s->ssl);
	const char *sni = SSL_get_servername(s->ssl, TLSEXT_NAMETYPE_host_name);
	bool is_server = s->engine->role == TLS_SERVER;
	const X509 *own = SSL_get_certificate(s->ssl);
	const SSL_SESSION *session = SSL_get0_session(s->ssl);
	unsigned id_len = 0;
	const unsigned char *id = session == NULL ? NULL : SSL_SESSION_get_id(session, &id_len);
	int algorithm_bits = 0, bits = SSL_CIPHER_get_bits(cipher, &algorithm_bits);

	put_text(out, "", "PROTOCOL", SSL_get_version(s->ssl));
	put_hex(out, "SESSION_ID", id, id_len);
	put_text(out, "", "CIPHER", SSL_CIPHER_get_name(cipher)); /* the third: programs rely on the order */
	put_text(out, "", "CIPHER_EXPORT", "false");
	buf_format(out, "SSL_CIPHER_USEKEYSIZE=%d%cSSL_CIPHER_ALGKEYSIZE=%d%c", bits, 0, algorithm_bits, 0);
	put_text(out, "", "VERSION_INTERFACE", "ucspi-ssl");
	put_text(out, "", "VERSION_LIBRARY", OpenSSL_version(OPENSSL_VERSION));
	put_text(out, "", "TLS_SNI", sni);
	if (own != NULL)
		certificate_variables(out, is_server ? "SERVER_" : "CLIENT_", own);
	put_peer(out, is_server ? "CLIENT_" : "SERVER_", s->ssl);
}
