/* The texts that may be signed.
 * Trusts nothing: the text comes from a process that talks to the network.
 * Never guesses: every octet that the layout fixes is compared, every length must come out even. */
#include "crypt/signing_text.h"

#include <string.h>

#define RANDOM_LEN 32
#define PAD_LEN 64

/* ---- TLS 1.3: 64 blanks, a label, a zero, the hash of the transcript ---- */

static struct bytes
label_of(enum signing_purpose purpose)
{
	return purpose == SIGN_TLS_SERVER ? BYTES("TLS 1.3, server CertificateVerify\0")
					  : BYTES("TLS 1.3, client CertificateVerify\0");
}

static bool
is_tls13(enum signing_purpose purpose, struct bytes text)
{
	struct bytes label = label_of(purpose);
	size_t hash;

	if (text.len < PAD_LEN + label.len)
		return false;
	for (size_t i = 0; i < PAD_LEN; i++)
		if (text.at[i] != ' ')
			return false;
	if (!bytes_equal(bytes_first(bytes_skip(text, PAD_LEN), label.len), label))
		return false;
	hash = text.len - PAD_LEN - label.len;
	return hash == 32 || hash == 48; /* SHA-256, SHA-384 */
}

/* ---- TLS 1.2, server: both randoms, then curve_type 3, the curve, the point ---- */

static bool
is_server_key(struct bytes text)
{
	static const struct {
		uint16_t curve;
		uint8_t len;
		bool has_form; /* first octet says "uncompressed" */
	} groups[] = {
		{ 23, 65, true },  /* secp256r1 */
		{ 24, 97, true },  /* secp384r1 */
		{ 25, 133, true }, /* secp521r1 */
		{ 29, 32, false }, /* x25519 */
		{ 30, 56, false }, /* x448 */
	};
	struct bytes params = bytes_skip(text, 2 * (size_t)RANDOM_LEN);

	if (params.len < 5 || params.at[0] != 3)
		return false;
	for (size_t i = 0; i < nitems(groups); i++)
		if ((params.at[1] << 8 | params.at[2]) == groups[i].curve)
			return params.at[3] == groups[i].len && params.len == 4u + groups[i].len &&
			    (!groups[i].has_form || params.at[4] == 4);
	return false;
}

/* ---- TLS 1.2, client: all handshake messages so far ---- */

enum {
	CLIENT_HELLO = 1,
	SERVER_HELLO = 2,
	CERTIFICATE = 11,
	SERVER_KEY_EXCHANGE = 12,
	CERTIFICATE_REQUEST = 13,
	SERVER_HELLO_DONE = 14,
	CLIENT_KEY_EXCHANGE = 16,
	CERTIFICATE_STATUS = 22
};

static bool
next_message(struct bytes *text, uint8_t *type, struct bytes *body)
{
	size_t len;

	if (text->len < 4)
		return false;
	*type = text->at[0];
	len = (size_t)text->at[1] << 16 | (size_t)text->at[2] << 8 | text->at[3];
	if (len > text->len - 4)
		return false;
	*body = bytes_first(bytes_skip(*text, 4), len);
	*text = bytes_skip(*text, 4 + len);
	return true;
}

/* The version and the random that both hellos begin with. */
static bool
is_hello(struct bytes body)
{
	return body.len >= 2 + RANDOM_LEN + 1 && body.at[0] == 3 && body.at[1] == 3 && body.at[2 + RANDOM_LEN] <= 32;
}

/* A list whose length is said in three octets; empty: no certificate, then nothing would be signed. */
static bool
is_certificate(struct bytes body)
{
	return body.len > 6 && ((size_t)body.at[0] << 16 | (size_t)body.at[1] << 8 | body.at[2]) == body.len - 3;
}

static bool
is_transcript(struct bytes text)
{
	static const struct {
		uint8_t type;
		bool optional;
	} order[] = { { CLIENT_HELLO, false }, { SERVER_HELLO, false }, { CERTIFICATE, false },
		{ CERTIFICATE_STATUS, true }, { SERVER_KEY_EXCHANGE, false }, { CERTIFICATE_REQUEST, false },
		{ SERVER_HELLO_DONE, false }, { CERTIFICATE, false }, { CLIENT_KEY_EXCHANGE, false } };
	struct bytes body;
	uint8_t type;

	for (size_t i = 0; i < nitems(order); i++) {
		if (order[i].optional && text.len > 0 && text.at[0] != order[i].type)
			continue;
		if (!next_message(&text, &type, &body) || type != order[i].type)
			return false;
		if ((type == CLIENT_HELLO || type == SERVER_HELLO) && !is_hello(body))
			return false;
		if (type == CERTIFICATE && !is_certificate(body))
			return false;
		if (type == SERVER_HELLO_DONE && body.len != 0)
			return false;
	}
	return text.len == 0;
}

enum result
signing_text_check(enum signing_purpose purpose, struct bytes text, enum signing_form *form, struct why *why)
{
	if (text.len > SIGNING_TEXT_MAX)
		return why_set(why, REFUSED, "a text of %zu octets is too long to be signed", text.len);
	if (is_tls13(purpose, text)) {
		*form = SIGNING_TLS13;
		return OK;
	}
	if (purpose == SIGN_TLS_SERVER && is_server_key(text)) {
		*form = SIGNING_TLS12_SERVER_KEY;
		return OK;
	}
	if (purpose == SIGN_TLS_CLIENT && is_transcript(text)) {
		*form = SIGNING_TLS12_TRANSCRIPT;
		return OK;
	}
	return why_set(why, REFUSED, "a text of %zu octets is nothing that a TLS %s signs", text.len,
	    purpose == SIGN_TLS_SERVER ? "server" : "client");
}

/* ---- schemes ---- */

static const struct signing_scheme schemes[] = {
	{ 0x0804, "rsa_pss_rsae_sha256", "SHA256", KEY_RSA, false, true, false },
	{ 0x0805, "rsa_pss_rsae_sha384", "SHA384", KEY_RSA, false, true, false },
	{ 0x0806, "rsa_pss_rsae_sha512", "SHA512", KEY_RSA, false, true, false },
	{ 0x0403, "ecdsa_secp256r1_sha256", "SHA256", KEY_P256, true, false, false },
	{ 0x0503, "ecdsa_secp384r1_sha384", "SHA384", KEY_P384, true, false, false },
	{ 0x0603, "ecdsa_secp521r1_sha512", "SHA512", KEY_P384, true, false, true },
	{ 0x0807, "ed25519", NULL, KEY_ED25519, false, false, false },
	{ 0x0401, "rsa_pkcs1_sha256", "SHA256", KEY_RSA, false, false, true },
	{ 0x0501, "rsa_pkcs1_sha384", "SHA384", KEY_RSA, false, false, true },
	{ 0x0601, "rsa_pkcs1_sha512", "SHA512", KEY_RSA, false, false, true },
};

const struct signing_scheme *
signing_scheme_of(uint16_t code)
{
	for (size_t i = 0; i < nitems(schemes); i++)
		if (schemes[i].code == code)
			return &schemes[i];
	return NULL;
}

bool
signing_scheme_fits(const struct signing_scheme *s, enum key_kind k, enum signing_form form)
{
	bool is_curve = k == KEY_P256 || k == KEY_P384;

	if (form == SIGNING_TLS13)
		return s->key == k && !s->tls12_only;
	return s->key == k || (s->any_curve && is_curve);
}

const char *
key_kind_name(enum key_kind k)
{
	static const char *const names[] = {
		[KEY_RSA] = "RSA", [KEY_P256] = "P-256", [KEY_P384] = "P-384", [KEY_ED25519] = "Ed25519"
	};

	return (size_t)k < nitems(names) ? names[k] : "?";
}
