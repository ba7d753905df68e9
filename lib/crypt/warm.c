/* Handshakes of the engine with itself, before any session: methods are fetched, tables built, error strings loaded, so
 * that the forked sessions share them instead of each doing it again.
 * Trusts nothing and talks to nobody; the key is made here and thrown away. */
#include "crypt/internal.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/x509.h>

static X509 *
make_certificate(EVP_PKEY *key)
{
	X509 *c = X509_new();
	X509_NAME *name = c == NULL ? NULL : X509_get_subject_name(c);

	if (name == NULL ||
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"warm", -1, -1, 0) != 1 ||
	    X509_set_issuer_name(c, name) != 1 || X509_set_version(c, X509_VERSION_3) != 1 ||
	    X509_gmtime_adj(X509_getm_notBefore(c), 0) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(c), 3600) == NULL || X509_set_pubkey(c, key) != 1 ||
	    X509_sign(c, key, EVP_sha256()) <= 0) {
		X509_free(c);
		return NULL;
	}
	return c;
}

static void
shake(SSL_CTX *server, SSL_CTX *client, int version)
{
	SSL *a = SSL_new(server), *b = SSL_new(client);
	BIO *one = NULL, *other = NULL;
	char octets[16];
	int done = 0;

	if (a != NULL && b != NULL && BIO_new_bio_pair(&one, 1 << 15, &other, 1 << 15) == 1) {
		SSL_set_bio(a, one, one);
		SSL_set_bio(b, other, other);
		SSL_set_accept_state(a);
		SSL_set_connect_state(b);
		(void)SSL_set_max_proto_version(b, version);
		for (int i = 0; i < 10 && done != 3; i++)
			done = (SSL_do_handshake(b) == 1) | (SSL_do_handshake(a) == 1) << 1;
		if (done == 3) {
			(void)SSL_write(b, "warm", 4);
			(void)SSL_read(a, octets, sizeof octets);
			(void)SSL_write(a, "warm", 4);
			(void)SSL_read(b, octets, sizeof octets);
			(void)SSL_shutdown(a);
		}
	}
	SSL_free(a);
	SSL_free(b);
	ERR_clear_error();
}

enum result
engine_warm(struct why *why)
{
	SSL_CTX *server = SSL_CTX_new(TLS_server_method()), *client = SSL_CTX_new(TLS_client_method());
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = key == NULL ? NULL : make_certificate(key);
	enum result r = OK;

	if (server == NULL || client == NULL || certificate == NULL ||
	    SSL_CTX_use_certificate(server, certificate) != 1 || SSL_CTX_use_PrivateKey(server, key) != 1)
		r = why_set(
		    why, BROKEN, "OpenSSL can't be prepared: %s", ERR_reason_error_string(ERR_peek_last_error()));
	else {
		(void)SSL_CTX_set_session_cache_mode(server, SSL_SESS_CACHE_OFF);
		shake(server, client, TLS1_3_VERSION);
		shake(server, client, TLS1_2_VERSION);
	}
	SSL_CTX_free(server);
	SSL_CTX_free(client);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return r;
}
