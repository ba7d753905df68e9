/* What a server proves to a client: by a CA, a name, a fingerprint, a TLSA record.
 * Trusts the target, which is policy's or DNSSEC's; a certificate for nothing until it is proven.
 * Never takes a failed proof for a missing one: where one is demanded the handshake ends. */
#include "crypt/internal.h"

#include "base/buf.h"
#include "wire/wire.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define DANE_TA 2
#define DANE_EE 3

/* ---- names ---- */

/* As a C string without the final dot. False: it can't be a name of a host. */
static bool
name_text(struct bytes name, char text[TLS_NAME_MAX + 1])
{
	if (name.len > 0 && name.at[name.len - 1] == '.')
		name.len--;
	if (name.len == 0 || name.len > TLS_NAME_MAX || name.at[0] == '.' || bytes_find(name, '*') < name.len ||
	    bytes_find(name, '\0') < name.len)
		return false;
	memcpy(text, name.at, name.len);
	text[name.len] = '\0';
	return true;
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]" or an address: as octets. */
static bool
address_octets(struct bytes name, uint8_t octets[16], size_t *len)
{
	char text[TLS_NAME_MAX + 1];

	if (name.len > 2 && name.at[0] == '[' && name.at[name.len - 1] == ']')
		name = bytes_first(bytes_skip(name, 1), name.len - 2);
	if (bytes_starts_nocase(name, BYTES("IPv6:")))
		name = bytes_skip(name, 5);
	if (!name_text(name, text))
		return false;
	*len = strchr(text, ':') == NULL ? 4 : 16;
	return inet_pton(*len == 4 ? AF_INET : AF_INET6, text, octets) == 1;
}

bool
target_is_address(const char *name)
{
	uint8_t octets[16];
	size_t len;

	return address_octets(bytes_of_string(name), octets, &len);
}

static bool
has_name(struct tls_session *s, X509 *leaf, struct bytes name, unsigned flags)
{
	char text[TLS_NAME_MAX + 1], *matched = NULL;
	uint8_t octets[16];
	size_t len;
	bool found;

	if (address_octets(name, octets, &len)) {
		found = X509_check_ip(leaf, octets, len, 0) == 1;
		if (found)
			(void)snprintf(s->matched, sizeof s->matched, "%.*s", (int)name.len, (const char *)name.at);
		return found;
	}
	found = name_text(name, text) && X509_check_host(leaf, text, 0, flags, &matched) == 1;
	if (found)
		(void)snprintf(s->matched, sizeof s->matched, "%s", matched == NULL ? text : matched);
	OPENSSL_free(matched);
	return found;
}

static void
put_clean(struct buf *b, const ASN1_STRING *text)
{
	const uint8_t *at = ASN1_STRING_get0_data(text);

	for (int i = 0; i < ASN1_STRING_length(text) && i < 64; i++)
		buf_add_octet(b, at[i] <= 0x20 || at[i] >= 0x7f ? '?' : at[i]);
}

/* Whose certificate it is instead, for the administrator. */
static void
tell_names(struct tls_session *s, X509 *leaf)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	struct buf b = buf_over(s->fault, sizeof s->fault - 1);
	struct bytes rest = s->target.names, first = BYTES_NONE;
	unsigned n = 0;

	buf_add_string(&b, "the peer's certificate is for ");
	for (int i = 0; i < sk_GENERAL_NAME_num(all) && b.len < 90; i++)
		if (sk_GENERAL_NAME_value(all, i)->type == GEN_DNS) {
			buf_add_string(&b, n++ > 0 ? ", " : "");
			put_clean(&b, sk_GENERAL_NAME_value(all, i)->d.dNSName);
		}
	GENERAL_NAMES_free(all);
	(void)wire_take(&rest, &first);
	buf_add_string(&b, n == 0 ? "other names, not for " : ", not for ");
	buf_add(&b, bytes_first(first, 64));
	s->fault[b.len] = '\0';
}

static bool
is_named(struct tls_session *s, X509_STORE_CTX *c, bool wildcards)
{
	X509 *leaf = X509_STORE_CTX_get0_cert(c);
	unsigned flags = wildcards ? X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS : X509_CHECK_FLAG_NO_WILDCARDS;

	for (struct bytes rest = s->target.names, name; wire_take(&rest, &name);)
		if (has_name(s, leaf, name, flags))
			return true;
	tell_names(s, leaf);
	X509_STORE_CTX_set_error(c, X509_V_ERR_HOSTNAME_MISMATCH);
	return false;
}

/* ---- one function a kind of proof: whether the handshake may go on ---- */

static int
unproven(struct tls_session *s, X509_STORE_CTX *c)
{
	if (s->fault[0] == '\0')
		(void)snprintf(s->fault, sizeof s->fault, "not demanded");
	X509_STORE_CTX_set_error(c, X509_V_ERR_UNSPECIFIED);
	return 1;
}

static int
as_it_is(int good, X509_STORE_CTX *c)
{
	(void)c;
	return good;
}

/* Lists of other issuers are not expected to be there. */
static int
without_list(int good, X509_STORE_CTX *c)
{
	if (!good && X509_STORE_CTX_get_error(c) == X509_V_ERR_UNABLE_TO_GET_CRL) {
		X509_STORE_CTX_set_error(c, X509_V_OK);
		return 1;
	}
	return good;
}

static int
by_chain(struct tls_session *s, X509_STORE_CTX *c)
{
	enum tls_demand demand = s->target.demand;

	if (s->engine->crl_if_there)
		X509_STORE_CTX_set_verify_cb(c, without_list);
	if (X509_verify_cert(c) != 1)
		return 0;
	if (demand != TLS_CHAIN && !is_named(s, c, demand == TLS_WILDCARD))
		return 0;
	s->proof = demand == TLS_CHAIN ? "ca" : "ca+name";
	return 1;
}

static const EVP_MD *
digest_of_length(size_t len)
{
	return len == 20 ? EVP_sha1()
	    : len == 28  ? EVP_sha224()
	    : len == 32  ? EVP_sha256()
	    : len == 64  ? EVP_sha512()
			 : NULL;
}

static int
by_pin(struct tls_session *s, X509_STORE_CTX *c)
{
	const EVP_MD *digest = digest_of_length(s->target.pin.len);
	uint8_t octets[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (digest != NULL && X509_digest(X509_STORE_CTX_get0_cert(c), digest, octets, &len) == 1 &&
	    bytes_equal_constant_time(bytes_of(octets, len), s->target.pin)) {
		s->proof = "pin";
		X509_STORE_CTX_set_error(c, X509_V_OK);
		return 1;
	}
	(void)snprintf(
	    s->fault, sizeof s->fault, "the peer's certificate has another fingerprint than the one demanded");
	X509_STORE_CTX_set_error(c, X509_V_ERR_CERT_UNTRUSTED);
	return 0;
}

static int
by_tlsa(struct tls_session *s, X509_STORE_CTX *c)
{
	uint8_t usage = 0;

	if (X509_verify_cert(c) != 1)
		return 0;
	if (SSL_get0_dane_tlsa(s->ssl, &usage, NULL, NULL, NULL, NULL) < 0) {
		X509_STORE_CTX_set_error(c, X509_V_ERR_DANE_NO_MATCH);
		return 0;
	}
	if (usage == DANE_TA && !is_named(s, c, true))
		return 0;
	s->proof = usage == DANE_EE ? "dane-ee" : "dane-ta";
	return 1;
}

int
target_check(X509_STORE_CTX *c, void *context)
{
	const SSL *ssl = X509_STORE_CTX_get_ex_data(c, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_session *s = session_of(ssl);

	(void)context;
	switch (s->target.demand) {
	case TLS_BY_ENGINE:
		break;
	case TLS_ANY:
	case TLS_SHOWN:
		return unproven(s, c);
	case TLS_CHAIN:
	case TLS_WILDCARD:
	case TLS_NAME:
		return by_chain(s, c);
	case TLS_PIN:
		return by_pin(s, c);
	case TLS_DANE:
		return by_tlsa(s, c);
	}
	return X509_verify_cert(c);
}

enum result
target_settle(struct tls_session *s, struct why *why)
{
	if (s->target.demand <= TLS_ANY || SSL_get0_peer_certificate(s->ssl) != NULL)
		return OK;
	s->blame = TLS_BLAME_PEER;
	return why_set(why, REFUSED, "the peer shows no certificate");
}

/* ---- aiming ---- */

/* False if OpenSSL has no memory. *n: of those that can be used. */
static bool
add_records(struct tls_session *s, unsigned *n)
{
	struct bytes rest = s->target.tlsa, r;

	*n = 0;
	for (unsigned i = 0; i < TLS_TLSA_MAX && wire_take(&rest, &r); i++) {
		int added;

		if (r.len < 4 || (r.at[0] != DANE_TA && r.at[0] != DANE_EE)) /* RFC 7672 3.1.3 */
			continue;
		added = SSL_dane_tlsa_add(s->ssl, r.at[0], r.at[1], r.at[2], r.at + 3, r.len - 3);
		if (added < 0)
			return false;
		*n += (unsigned)added;
	}
	ERR_clear_error();
	return true;
}

static enum result
aim_dane(struct tls_session *s, struct why *why)
{
	unsigned n;

	if (SSL_dane_enable(s->ssl, NULL) != 1 || !add_records(s, &n))
		return why_set(why, EXHAUSTED, "no memory for TLSA records");
	(void)SSL_dane_set_flags(s->ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	if (n == 0) {
		s->target.demand = TLS_ANY;
		(void)snprintf(s->fault, sizeof s->fault, "none of the TLSA records can be used");
	}
	return OK;
}

static bool
has_usable_name(struct bytes names)
{
	char text[TLS_NAME_MAX + 1];

	for (struct bytes name; wire_take(&names, &name);)
		if (name_text(name, text))
			return true;
	return false;
}

enum result
tls_aim(struct tls_session *s, const struct tls_target *t, struct why *why)
{
	s->target = *t;
	if (t->demand == TLS_BY_ENGINE)
		return OK;
	SSL_set_verify(s->ssl, SSL_VERIFY_PEER, as_it_is);
	(void)SSL_set1_host(s->ssl, NULL); /* names are compared here */
	(void)X509_VERIFY_PARAM_set1_ip(SSL_get0_param(s->ssl), NULL, 0);
	if (t->demand == TLS_PIN && digest_of_length(t->pin.len) == NULL)
		return why_set(why, MALFORMED, "a fingerprint of %zu octets", t->pin.len);
	if ((t->demand == TLS_NAME || t->demand == TLS_WILDCARD) && !has_usable_name(t->names))
		return why_set(why, MALFORMED, "a name is demanded, but there is none");
	return t->demand == TLS_DANE ? aim_dane(s, why) : OK;
}
