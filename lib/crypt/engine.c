/* Contexts of handshakes.
 * Trusts the administrator's options once they parse.
 * Never offers what has been a hole in mail: old versions, CBC, static RSA, renegotiation, compression, tickets, 0-RTT. */
#include "crypt/internal.h"
#include "crypt/pem_reader.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CURVES "X25519:P-256:X448:P-384:P-521"
#define CIPHERS \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-" \
	"POLY1305:" \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
/* Where nothing is verified any encryption is more than none (RFC 7435); what has no certificate at all comes last. */
#define WIDE CIPHERS ":ECDHE+AES:DHE+AESGCM:DHE+CHACHA20:DHE+AES:RSA+AESGCM:RSA+AES"
#define WIDEST WIDE ":AECDH+AES:ADH+AES"
#define DEPTH 4
#define CERTIFICATES_MAX (64L << 10) /* octets of a peer's chain */

static const char *
openssl_says(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	return text == NULL ? "no reason given" : text;
}

/* ---- application protocols: a peer that names some, but not ours, has come to the wrong door ---- */

static int
choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned in_len,
    void *context)
{
	const struct tls_engine *e = context;

	(void)ssl;
	for (unsigned i = 0; i < in_len; i += 1u + in[i]) {
		if (in[i] >= in_len - i)
			break;
		if (in[i] + 1u == e->protocol_len && memcmp(in + i, e->protocol, e->protocol_len) == 0) {
			*out = in + i + 1;
			*out_len = in[i];
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL; /* no_application_protocol, RFC 7301 3.2 */
}

static enum result
set_protocol(struct tls_engine *e, struct bytes name, struct why *why)
{
	if (name.len == 0)
		return OK;
	if (name.len >= sizeof e->protocol)
		return why_set(why, MALFORMED, "a protocol name of %zu octets", name.len);
	e->protocol[0] = (uint8_t)name.len;
	memcpy(e->protocol + 1, name.at, name.len);
	e->protocol_len = (unsigned)name.len + 1;
	if (e->role == TLS_SERVER)
		SSL_CTX_set_alpn_select_cb(e->ctx, choose_protocol, e);
	else if (SSL_CTX_set_alpn_protos(e->ctx, e->protocol, e->protocol_len) != 0)
		return why_set(why, EXHAUSTED, "no memory");
	return OK;
}

/* ---- alerts ---- */

/* the library has no words for the newest */
static const char *
alert_name(int code)
{
	switch (code & 0xff) {
	case SSL_AD_MISSING_EXTENSION:
		return "missing extension";
	case SSL_AD_CERTIFICATE_REQUIRED:
		return "certificate required";
	case SSL_AD_NO_APPLICATION_PROTOCOL:
		return "no application protocol";
	default:
		return SSL_alert_desc_string_long(code);
	}
}

static void
note_alert(const SSL *ssl, int where, int code)
{
	struct tls_session *s = session_of(ssl);

	if ((where & SSL_CB_ALERT) == 0 || s == NULL || s->n_alerts == TLS_ALERTS_MAX)
		return;
	s->alerts[s->n_alerts++] = (struct tls_alert){
		.sent = (where & SSL_CB_WRITE) != 0, .fatal = code >> 8 == SSL3_AL_FATAL, .name = alert_name(code)
	};
}

/* ---- whom to believe ---- */

static enum result
trust(struct tls_engine *e, struct bytes pem, bool names, struct why *why)
{
	X509_STORE *store = SSL_CTX_get_cert_store(e->ctx);
	struct pem_reader p = { .rest = pem };
	struct why fault = WHY_NONE;
	unsigned n = 0;
	enum result r;
	X509 *c;

	while ((r = pem_next_certificate(&p, &c, &fault)) == OK) {
		if (X509_STORE_add_cert(store, c) != 1 || (names && SSL_CTX_add_client_CA(e->ctx, c) != 1))
			r = why_set(
			    &fault, MALFORMED, "line %u: this certificate can't be taken: %s", p.line, openssl_says());
		X509_free(c);
		n++;
		if (r != OK)
			break;
	}
	ERR_clear_error();
	if (r != ABSENT)
		return why_set(why, r, "a file of CAs, %s", fault.text);
	return n == 0 ? why_set(why, MALFORMED, "a CA file without a certificate") : OK;
}

/* Adds those in the text. *n: how many. A damaged list is none that may be left out: it may name the peer. */
static enum result
take_crls(struct tls_engine *e, struct bytes pem, unsigned *n, struct why *why)
{
	X509_STORE *store = SSL_CTX_get_cert_store(e->ctx);
	struct pem_reader p = { .rest = pem };
	struct why fault = WHY_NONE;
	enum result r;
	X509_CRL *c;

	*n = 0;
	while ((r = pem_next_crl(&p, &c, &fault)) == OK) {
		if (X509_STORE_add_crl(store, c) != 1)
			r = why_set(&fault, MALFORMED, "line %u: this revocation list can't be taken: %s", p.line,
			    openssl_says());
		X509_CRL_free(c);
		(*n)++;
		if (r != OK)
			break;
	}
	ERR_clear_error();
	if (r != ABSENT)
		return why_set(why, r, "a file of revocation lists, %s", fault.text);
	if (*n > 0)
		(void)X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
	return OK;
}

/* What the first verification would do is done: sessions, which are forked, share it. */
static void
ready_store(X509_STORE *store)
{
	STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(store);

	for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
		X509 *c = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));

		if (c != NULL)
			(void)X509_check_purpose(c, -1, 0);
	}
	sk_X509_OBJECT_sort(all);
}

static enum result
fill_store(struct tls_engine *e, const struct tls_options *o, struct why *why)
{
	bool sends_names = o->role == TLS_SERVER;
	enum result r = OK;
	unsigned n = 0;

	if (o->ca.len > 0 && (r = trust(e, o->ca, o->ca_names.len == 0 && sends_names, why)) != OK)
		return r;
	if (o->ca_names.len > 0 && (r = trust(e, o->ca_names, sends_names, why)) != OK)
		return r;
	if (o->crl.len > 0 && (r = take_crls(e, o->crl, &n, why)) == OK && n == 0)
		return why_set(why, MALFORMED, "a CRL file without a revocation list");
	if (r == OK && n == 0 && o->role == TLS_CLIENT && o->ca.len > 0) {
		r = take_crls(e, o->ca, &n, why);
		e->crl_if_there = n > 0;
	}
	ready_store(SSL_CTX_get_cert_store(e->ctx));
	return r;
}

/* The handshake goes on; whoever asks for the facts learns the result. */
static int
let_pass(int good, X509_STORE_CTX *c)
{
	(void)good;
	(void)c;
	return 1;
}

static enum result
set_trust(struct tls_engine *e, const struct tls_options *o, struct why *why)
{
	int mode = SSL_VERIFY_PEER |
	    (o->role == TLS_SERVER && o->verify == TLS_VERIFY_REQUIRED ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
	enum result r;

	if (o->trusts_like != NULL) {
		SSL_CTX_set1_cert_store(e->ctx, SSL_CTX_get_cert_store(o->trusts_like->ctx));
		e->crl_if_there = o->trusts_like->crl_if_there;
	} else if ((r = fill_store(e, o, why)) != OK)
		return r;
	if (o->role == TLS_CLIENT) {
		SSL_CTX_set_cert_verify_callback(e->ctx, target_check, NULL);
		if (SSL_CTX_dane_enable(e->ctx) != 1)
			return why_set(why, EXHAUSTED, "no memory for DANE");
	}
	if (o->verify == TLS_VERIFY_NONE && o->role == TLS_SERVER)
		return OK;
	e->demands = o->verify == TLS_VERIFY_REQUIRED;
	SSL_CTX_set_verify(e->ctx, mode, e->demands ? NULL : let_pass);
	SSL_CTX_set_verify_depth(e->ctx, o->depth > 0 ? (int)o->depth : DEPTH);
	return OK;
}

/* ---- contexts ---- */

static const char *
usual_ciphers(const struct tls_options *o)
{
	if (o->role == TLS_SERVER || o->verify == TLS_VERIFY_REQUIRED)
		return CIPHERS;
	return o->verify == TLS_VERIFY_NONE ? WIDEST : WIDE;
}

/* A list of the administrator's may name both kinds, which OpenSSL takes apart: the suites of TLS 1.3 are those that begin
 * with TLS_. For a version that is not named the usual ones hold. */
static bool
set_named_ciphers(SSL_CTX *c, struct bytes list, const char *usual)
{
	uint8_t suites_room[1024], others_room[1024];
	struct buf suites = BUF_OVER(suites_room), others = BUF_OVER(others_room), *into;
	struct bytes one;

	while (bytes_split(&list, ':', &one)) {
		into = bytes_starts(one, BYTES("TLS_")) ? &suites : &others;
		if (into->len > 0)
			buf_add_octet(into, ':');
		buf_add(into, one);
	}
	if (others.len == 0)
		buf_add_string(&others, usual);
	buf_add_octet(&suites, '\0');
	buf_add_octet(&others, '\0');
	return !suites.failed && !others.failed && SSL_CTX_set_cipher_list(c, (const char *)others.at) == 1 &&
	    (suites.len == 1 || SSL_CTX_set_ciphersuites(c, (const char *)suites.at) == 1);
}

enum result
engine_check_ciphers(struct bytes list, struct why *why)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	enum result r = OK;

	if (ctx == NULL)
		return why_set(why, EXHAUSTED, "no memory for OpenSSL");
	if (!set_named_ciphers(ctx, list, CIPHERS))
		r = why_set(why, MALFORMED, "no cipher in the list %.*s", (int)(list.len < 200 ? list.len : 200),
		    (const char *)list.at);
	SSL_CTX_free(ctx);
	ERR_clear_error();
	return r;
}

static enum result
set_versions(struct tls_engine *e, const struct tls_options *o, struct why *why)
{
	if (o->role == TLS_CLIENT && o->verify != TLS_VERIFY_REQUIRED) {
		SSL_CTX_set_security_level(e->ctx, 0); /* of keys that nothing is proven with */
		(void)SSL_CTX_set_options(e->ctx, SSL_OP_LEGACY_SERVER_CONNECT);
	}
	if (SSL_CTX_set_min_proto_version(e->ctx, TLS1_2_VERSION) != 1)
		return why_set(why, BROKEN, "OpenSSL has no TLS 1.2");
	if (!set_named_ciphers(e->ctx, o->ciphers, usual_ciphers(o)))
		return why_set(why, MALFORMED, "no cipher in the list %.*s",
		    (int)(o->ciphers.len < 200 ? o->ciphers.len : 200), (const char *)o->ciphers.at);
	return OK;
}

static void
set_habits(SSL_CTX *c)
{
	(void)SSL_CTX_set_options(c,
	    SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
		SSL_OP_PRIORITIZE_CHACHA | SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION | SSL_OP_CLEANSE_PLAINTEXT);
	(void)SSL_CTX_set_num_tickets(c, 0);
	(void)SSL_CTX_set_max_early_data(c, 0);
	(void)SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_mode(
	    c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(c, 1);
	SSL_CTX_set_max_cert_list(c, CERTIFICATES_MAX);
	SSL_CTX_set_info_callback(c, note_alert);
	SSL_CTX_set_quiet_shutdown(c, 0);
	/* No finite-field groups: with a large one a peer makes the server work for tens of milliseconds. The first has its
	 * post-quantum half where the library knows one */
	if (SSL_CTX_set1_groups_list(c, "X25519MLKEM768:" CURVES) != 1)
		(void)SSL_CTX_set1_groups_list(c, CURVES);
}

enum result
engine_open(struct tls_engine **out, const struct tls_options *o, struct why *why)
{
	struct tls_engine *e = calloc(1, sizeof *e);
	enum result r;

	*out = NULL;
	if (e == NULL ||
	    (e->ctx = SSL_CTX_new(o->role == TLS_SERVER ? TLS_server_method() : TLS_client_method())) == NULL) {
		free(e);
		return why_set(why, EXHAUSTED, "no memory for a TLS context");
	}
	e->role = o->role;
	e->rack = o->rack;
	e->by_name = o->by_name;
	set_habits(e->ctx);
	if ((r = set_versions(e, o, why)) != OK || (r = set_protocol(e, o->protocol, why)) != OK ||
	    (r = set_trust(e, o, why)) != OK || (r = identities_prepare(e, o->certificates, why)) != OK) {
		engine_close(e);
		return r;
	}
	ERR_clear_error();
	*out = e;
	return OK;
}

void
engine_close(struct tls_engine *e)
{
	if (e == NULL)
		return;
	SSL_CTX_free(e->ctx);
	for (size_t i = 0; i < e->n_identities; i++)
		identity_free(&e->identities[i]);
	free(e);
}
