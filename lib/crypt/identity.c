/* Certificates that the engine shows, and which of them to whom.
 * Trusts the rack; the server name asked for comes from the peer and is only looked up.
 * Never shows a certificate without a key of our provider for it. */
#include "crypt/internal.h"

#include "wire/wire.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

void
identity_free(struct identity *i)
{
	X509_free(i->leaf);
	sk_X509_pop_free(i->chain, X509_free);
	EVP_PKEY_free(i->key);
	*i = (struct identity){ 0 };
}

static bool
load_chain(struct identity *i, struct bytes chain)
{
	struct bytes der;

	i->chain = sk_X509_new_null();
	while (i->chain != NULL && wire_take(&chain, &der)) {
		const unsigned char *at = der.at;
		X509 *c = d2i_X509(NULL, &at, (long)der.len);

		if (c == NULL)
			return false;
		if (i->leaf == NULL)
			i->leaf = c;
		else if (sk_X509_push(i->chain, c) <= 0) {
			X509_free(c);
			return false;
		}
	}
	return i->leaf != NULL && i->chain != NULL;
}

static int64_t
end_of(const X509 *leaf)
{
	struct tm tm;

	return ASN1_TIME_to_tm(X509_get0_notAfter(leaf), &tm) == 1 ? (int64_t)timegm(&tm) : INT64_MAX;
}

enum result
identity_load(struct identity *i, const struct rack *rack, struct bytes file, struct why *why)
{
	struct bytes chain;
	enum result r;

	*i = (struct identity){ 0 };
	if (rack == NULL || (r = rack_find_pair(rack, file, &i->ocsp, &chain)) == ABSENT)
		return why_set(
		    why, ABSENT, "no usable certificate was found in %.*s", (int)file.len, (const char *)file.at);
	if (r == OK && load_chain(i, chain) &&
	    (i->key = provider_key(X509_get0_pubkey(i->leaf), i->spki, why)) != NULL) {
		i->expires = end_of(i->leaf);
		return OK;
	}
	identity_free(i);
	return why_set(why, BROKEN, "the certificate of %.*s can't be used", (int)file.len, (const char *)file.at);
}

bool
identity_use(SSL *ssl, const struct identity *i)
{
	return SSL_use_cert_and_key(ssl, i->leaf, i->key, i->chain, 1) == 1;
}

static bool
matches(const struct identity *i, const char *name)
{
	return X509_check_host(i->leaf, name, 0, 0, NULL) == 1;
}

/* The certificates for the name asked for, in all their key types; OpenSSL then takes one that the peer can verify. */
static int
choose(SSL *ssl, void *context)
{
	struct tls_engine *e = context;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	struct bytes files, file;
	struct why why = WHY_NONE;
	bool cleared = false;

	if (name == NULL || !e->by_name || e->rack == NULL)
		return 1;
	for (size_t i = 0; i < e->n_identities; i++)
		if (matches(&e->identities[i], name))
			return 1; /* the default has it */
	if (rack_find_name(e->rack, bytes_of_string(name), &files) != OK)
		return 1; /* an unknown name gets the default (SMTP clients rarely know) */
	while (wire_take(&files, &file)) {
		struct identity new;

		if (identity_load(&new, e->rack, file, &why) != OK)
			continue;
		if (!cleared)
			SSL_certs_clear(ssl);
		cleared = true;
		(void)identity_use(ssl, &new);
		if (e->n_identities < IDENTITIES_MAX)
			e->identities[e->n_identities++] = new; /* for the staple; freed with the engine */
		else
			identity_free(&new);
	}
	ERR_clear_error();
	return 1;
}

static int
staple(SSL *ssl, void *context)
{
	const struct tls_engine *e = context;
	const X509 *shown = SSL_get_certificate(ssl);
	unsigned char *copy;

	for (size_t i = 0; i < e->n_identities; i++) {
		const struct identity *id = &e->identities[i];

		if (shown == NULL || id->ocsp.len == 0 || X509_cmp(shown, id->leaf) != 0)
			continue;
		copy = OPENSSL_memdup(id->ocsp.at, id->ocsp.len);
		if (copy == NULL || SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)id->ocsp.len) != 1) {
			OPENSSL_free(copy);
			return SSL_TLSEXT_ERR_NOACK;
		}
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_NOACK;
}

enum result
identities_prepare(struct tls_engine *e, struct bytes files, struct why *why)
{
	struct bytes file;
	enum result r;

	while (wire_take(&files, &file)) {
		struct identity *i = &e->identities[e->n_identities];

		if (e->n_identities == IDENTITIES_MAX / 2)
			return why_set(
			    why, MALFORMED, "more than %d certificates for one connection", IDENTITIES_MAX / 2);
		if ((r = identity_load(i, e->rack, file, why)) != OK)
			return r;
		e->n_own = ++e->n_identities;
		if (SSL_CTX_use_cert_and_key(e->ctx, i->leaf, i->key, i->chain, 1) != 1)
			return why_set(why, REFUSED, "OpenSSL does not take the certificate of %.*s: %s", (int)file.len,
			    (const char *)file.at, ERR_reason_error_string(ERR_peek_last_error()));
	}
	if (e->role == TLS_SERVER) {
		SSL_CTX_set_cert_cb(e->ctx, choose, e);
		(void)SSL_CTX_set_tlsext_status_cb(e->ctx, staple);
		(void)SSL_CTX_set_tlsext_status_arg(e->ctx, e);
	}
	return OK;
}

int64_t
engine_expires(const struct tls_engine *e, size_t *which)
{
	int64_t first = INT64_MAX;

	*which = 0;
	for (size_t i = 0; i < e->n_own; i++)
		if (e->identities[i].expires < first) {
			first = e->identities[i].expires;
			*which = i;
		}
	return first;
}
