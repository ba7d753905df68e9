/* What a private key of the house may put its name to: the layouts of the texts that TLS signs, checked octet by octet.
 * A text that is none of them is not signed, whoever asks. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#define SIGNING_TEXT_MAX 7680 /* octets; only a TLS 1.2 client's transcript comes near it */

enum signing_purpose { SIGN_TLS_SERVER, SIGN_TLS_CLIENT };

enum signing_form {
	SIGNING_TLS13,            /* CertificateVerify of TLS 1.3 (RFC 8446 4.4.3) */
	SIGNING_TLS12_SERVER_KEY, /* ServerKeyExchange with named ECDHE parameters (RFC 8422 5.4) */
	SIGNING_TLS12_TRANSCRIPT, /* CertificateVerify of a TLS 1.2 client (RFC 5246 7.4.8) */
};

/* OK with *form, or REFUSED with what is wrong: the text is not one that a TLS server (or client) signs. */
enum result signing_text_check(
    enum signing_purpose purpose, struct bytes text, enum signing_form *form, struct why *why);

/* The kinds of keys that are served. */
enum key_kind { KEY_RSA, KEY_P256, KEY_P384, KEY_ED25519 };

const char *key_kind_name(enum key_kind k); /* "RSA", "P-256", … */

/* What a TLS SignatureScheme (RFC 8446 4.2.3) asks of a key. */
struct signing_scheme {
	uint16_t code;
	const char *name;   /* as registered */
	const char *digest; /* null: the scheme has its own (Ed25519) */
	enum key_kind key;
	bool any_curve; /* ECDSA of TLS 1.2: the hash does not name the curve */
	bool pss;       /* RSA: PSS padding, else PKCS #1 v1.5 */
	bool tls12_only;
};

const struct signing_scheme *signing_scheme_of(uint16_t code); /* null: not served */

/* Whether a key of that kind may sign a text of that form in that scheme. */
bool signing_scheme_fits(const struct signing_scheme *s, enum key_kind k, enum signing_form form);
