/* What is known of a connection after its handshake.
 * Trusts the verification that OpenSSL made; names out of a certificate that was not verified are not told as anybody's.
 * Never passes on control octets: what is not printable becomes '?'. */
#include "crypt/internal.h"

#include "wire/wire.h"

#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

static void
copy_clean(char *into, size_t size, const void *from, size_t len)
{
	const uint8_t *at = from;
	size_t n = len < size ? len : size - 1;

	for (size_t i = 0; i < n; i++)
		into[i] = at[i] < 0x20 || at[i] == 0x7f ? '?' : (char)at[i];
	into[n] = '\0';
}

static void
put_email(struct tls_facts *f, const ASN1_STRING *text)
{
	struct bytes b = bytes_of(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));

	if (b.len == 0 || b.len > 320)
		return;
	for (size_t i = 0; i < b.len; i++)
		if (b.at[i] <= 0x20 || b.at[i] >= 0x7f)
			return;
	if (f->emails.len + b.len + 2 <= sizeof f->emails_room)
		wire_put(&f->emails, b);
}

static void
collect_emails(struct tls_facts *f, X509 *peer)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(peer, NID_subject_alt_name, NULL, NULL);
	const X509_NAME *subject = X509_get_subject_name(peer);

	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++)
		if (sk_GENERAL_NAME_value(all, i)->type == GEN_EMAIL)
			put_email(f, sk_GENERAL_NAME_value(all, i)->d.rfc822Name);
	GENERAL_NAMES_free(all);
	for (int at = -1; (at = X509_NAME_get_index_by_NID(subject, NID_pkcs9_emailAddress, at)) >= 0;)
		put_email(f, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

static void
look_at_peer(struct tls_facts *f, const struct tls_session *s)
{
	const SSL *ssl = s->ssl;
	X509 *peer = SSL_get0_peer_certificate(ssl);
	long result = SSL_get_verify_result(ssl);
	const ASN1_STRING *cn;
	char *text;
	BIO *out;
	int at;
	long len;

	f->peer = peer == NULL ? TLS_PEER_NONE : result == X509_V_OK ? TLS_PEER_VERIFIED : TLS_PEER_UNVERIFIED;
	if (peer == NULL)
		return;
	if (result != X509_V_OK)
		(void)snprintf(f->verify, sizeof f->verify, "%s",
		    s->fault[0] != '\0' ? s->fault : X509_verify_cert_error_string(result));
	(void)X509_digest(peer, EVP_sha256(), f->fingerprint, NULL);
	if ((out = BIO_new(BIO_s_mem())) != NULL &&
	    X509_NAME_print_ex(out, X509_get_subject_name(peer), 0, XN_FLAG_RFC2253) > 0 &&
	    (len = BIO_get_mem_data(out, &text)) > 0)
		copy_clean(f->subject, sizeof f->subject, text, (size_t)len);
	BIO_free(out);
	at = X509_NAME_get_index_by_NID(X509_get_subject_name(peer), NID_commonName, -1);
	if (at >= 0) {
		cn = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(X509_get_subject_name(peer), at));
		copy_clean(
		    f->common_name, sizeof f->common_name, ASN1_STRING_get0_data(cn), (size_t)ASN1_STRING_length(cn));
	}
	if (f->peer == TLS_PEER_VERIFIED)
		collect_emails(f, peer);
}

static void
look_at_own(struct tls_facts *f, const struct tls_session *s)
{
	const X509 *shown = SSL_get_certificate(s->ssl);

	for (size_t i = 0; shown != NULL && i < s->engine->n_identities; i++)
		if (X509_cmp(shown, s->engine->identities[i].leaf) == 0)
			memcpy(f->own_spki, s->engine->identities[i].spki, SPKI_LEN);
}

/* With TLS 1.2 it would bind only if both sides use the extended master secret (RFC 9266 3). */
static void
export_binding(struct tls_facts *f, const struct tls_session *s)
{
	static const char label[] = "EXPORTER-Channel-Binding";

	if (SSL_version(s->ssl) != TLS1_3_VERSION ||
	    SSL_export_keying_material(
		s->ssl, f->exporter, sizeof f->exporter, label, sizeof label - 1, (const uint8_t *)"", 0, 1) != 1)
		memset(f->exporter, 0, sizeof f->exporter);
}

void
tls_facts(const struct tls_session *s, struct tls_facts *f)
{
	const char *name = SSL_get_servername(s->ssl, TLSEXT_NAMETYPE_host_name);
	const char *group = SSL_group_to_name(s->ssl, (int)SSL_get_negotiated_group(s->ssl));
	const unsigned char *alpn;
	unsigned alpn_len;
	int bits = 0;

	memset(f, 0, sizeof *f);
	f->emails = BUF_OVER(f->emails_room);
	f->protocol = SSL_get_version(s->ssl);
	f->cipher = SSL_CIPHER_standard_name(SSL_get_current_cipher(s->ssl));
	if (f->cipher == NULL)
		f->cipher = "";
	f->group = group == NULL ? "" : group;
	(void)SSL_CIPHER_get_bits(SSL_get_current_cipher(s->ssl), &bits);
	f->bits = bits > 0 ? (unsigned)bits : 0;
	if (name != NULL)
		copy_clean(f->server_name, sizeof f->server_name, name, strlen(name));
	SSL_get0_alpn_selected(s->ssl, &alpn, &alpn_len);
	copy_clean(f->application, sizeof f->application, alpn, alpn_len);
	f->proof = s->proof;
	copy_clean(f->matched, sizeof f->matched, s->matched, strlen(s->matched));
	look_at_peer(f, s);
	look_at_own(f, s);
	export_binding(f, s);
}
