/* Why a handshake failed, in words that an administrator understands.
 * Trusts OpenSSL's error queue.
 * Never shows octets of the peer. */
#include "crypt/internal.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <string.h>

static const struct {
	int reason;
	const char *words;
} words[] = {
	{ SSL_R_UNSUPPORTED_PROTOCOL, "no shared version: the peer is too old for TLS 1.2" },
	{ SSL_R_VERSION_TOO_LOW, "no shared version: the peer is too old for TLS 1.2" },
	{ SSL_R_WRONG_SSL_VERSION, "no shared version" },
	{ SSL_R_NO_PROTOCOLS_AVAILABLE, "no shared version" },
	{ SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "no shared version: the peer refuses ours" },
	{ SSL_R_NO_SHARED_CIPHER, "no shared cipher" },
	{ SSL_R_NO_CIPHERS_AVAILABLE, "no shared cipher" },
	{ SSL_R_NO_SUITABLE_KEY_SHARE, "no shared key exchange group" },
	{ SSL_R_NO_SHARED_GROUPS, "no shared key exchange group" },
	{ SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, "no certificate of ours has a key that the peer can verify" },
	{ SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, "no certificate of ours has a key that the peer can verify" },
	{ SSL_R_NO_CERTIFICATE_SET, "no certificate is configured for this connection" },
	{ SSL_R_WRONG_VERSION_NUMBER, "what came is not TLS: plain text on a TLS port, or STARTTLS missing" },
	{ SSL_R_HTTP_REQUEST, "the wrong protocol: HTTP on a mail port" },
	{ SSL_R_HTTPS_PROXY_REQUEST, "the wrong protocol: an HTTP proxy request on a mail port" },
	{ SSL_R_NO_APPLICATION_PROTOCOL, "the wrong protocol: the peer wants (ALPN) none that is spoken here" },
	{ SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL,
	    "the wrong protocol: the peer speaks none that was offered (ALPN)" },
	{ SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "the peer has no certificate, and one is required" },
	{ SSL_R_EXCESSIVE_MESSAGE_SIZE, "the peer's message (its certificates?) is too large" },
	{ SSL_R_TLSV1_ALERT_UNKNOWN_CA, "the peer does not know the CA of our certificate" },
	{ SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, "the peer says that our certificate has expired" },
	{ SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, "the peer says that our certificate was revoked" },
	{ SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "the peer does not accept our certificate" },
	{ SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "the peer does not accept our certificate" },
	{ SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, "the peer can't use our certificate's kind of key" },
	{ SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, "the peer requires a certificate from us" },
	{ SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, "the peer found nothing shared (versions, ciphers, groups or keys)" },
	{ SSL_R_TLSV1_ALERT_INTERNAL_ERROR, "the peer failed in the handshake (its alert: internal error)" },
	{ SSL_R_TLSV1_UNRECOGNIZED_NAME, "the peer has no certificate for the name that was asked for" },
	{ SSL_R_DH_KEY_TOO_SMALL, "the peer's Diffie-Hellman group is too small" },
	{ SSL_R_UNEXPECTED_EOF_WHILE_READING, "the peer hung up" },
	{ SSL_R_UNKNOWN_PROTOCOL, "what came is not TLS" },
	{ SSL_R_NO_RENEGOTIATION, "the peer wants to renegotiate" },
};

static const char *
words_for(unsigned long error)
{
	if (ERR_GET_LIB(error) != ERR_LIB_SSL)
		return NULL;
	for (size_t i = 0; i < nitems(words); i++)
		if (words[i].reason == ERR_GET_REASON(error))
			return words[i].words;
	return NULL;
}

/* These come of what is configured or installed here. */
static bool
is_of_us(unsigned long error)
{
	static const int reasons[] = { SSL_R_NO_CERTIFICATE_SET, SSL_R_NO_PROTOCOLS_AVAILABLE,
		SSL_R_NO_CIPHERS_AVAILABLE };

	if (ERR_FATAL_ERROR(error)) /* no memory, a call out of turn */
		return true;
	for (size_t i = 0; i < nitems(reasons); i++)
		if (ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == reasons[i])
			return true;
	return false;
}

/* An alert that we send for want of memory as well: OpenSSL does not always keep the reason. */
static bool
may_be_of_us(const char *alert)
{
	static const char *const names[] = { "internal error", "decode error", "bad certificate" };

	for (size_t i = 0; i < nitems(names); i++)
		if (strcmp(alert, names[i]) == 0)
			return true;
	return false;
}

/* The peer said so, or we said so to the peer. */
static bool
was_said(const struct tls_session *s)
{
	for (unsigned i = 0; i < s->n_alerts; i++)
		if (s->alerts[i].fatal && (!s->alerts[i].sent || !may_be_of_us(s->alerts[i].name)))
			return true;
	return false;
}

/* What nobody can tell is ours, so that no trouble of this host makes mail readable. */
static enum tls_blame
blame_for(const struct tls_session *s)
{
	unsigned long first = ERR_peek_error(), e = first;
	bool known = words_for(first) != NULL ||
	    (ERR_GET_LIB(first) == ERR_LIB_SSL && ERR_GET_REASON(first) > SSL_AD_REASON_OFFSET); /* an alert's number */

	if (first == 0 || provider_failure()[0] != '\0')
		return TLS_BLAME_US;
	for (; e != 0; e = ERR_get_error())
		if (is_of_us(e))
			return TLS_BLAME_US;
	return known || was_said(s) ? TLS_BLAME_PEER : TLS_BLAME_US;
}

/* The system's word on the connection. */
static enum result
connection_why(struct tls_session *s, struct why *why)
{
	if (errno == 0 || errno == ECONNRESET || errno == EPIPE) {
		s->blame = TLS_BLAME_PEER;
		return why_set(why, ABSENT, "the peer hung up");
	}
	s->blame = result_of_errno(errno) == EXHAUSTED ? TLS_BLAME_US : TLS_BLAME_SILENCE;
	return why_errno(why, ABSENT, "the connection broke");
}

enum result
failure_why(struct tls_session *s, int ssl_error, struct why *why)
{
	unsigned long e = ERR_peek_error();
	const char *known = words_for(e), *said = ERR_reason_error_string(e);
	bool unverified = ERR_GET_LIB(e) == ERR_LIB_SSL && ERR_GET_REASON(e) == SSL_R_CERTIFICATE_VERIFY_FAILED;

	if (ssl_error == SSL_ERROR_SYSCALL && e == 0)
		return connection_why(s, why);
	s->blame = ssl_error == SSL_ERROR_ZERO_RETURN ? TLS_BLAME_PEER : blame_for(s);
	if (provider_failure()[0] != '\0')
		return why_set(why, BROKEN, "no signature: %s", provider_failure());
	if (ssl_error == SSL_ERROR_ZERO_RETURN ||
	    (ERR_GET_LIB(e) == ERR_LIB_SSL && ERR_GET_REASON(e) == SSL_R_UNEXPECTED_EOF_WHILE_READING))
		return why_set(why, ABSENT, "the peer hung up");
	if (unverified && s->fault[0] != '\0')
		return why_set(why, REFUSED, "%s", s->fault);
	if (unverified)
		return why_set(why, REFUSED, "the peer's certificate does not verify: %s",
		    X509_verify_cert_error_string(SSL_get_verify_result(s->ssl)));
	if (known != NULL)
		return why_set(why, REFUSED, "%s", known);
	return why_set(why, REFUSED, "%s", said == NULL ? "the TLS library gives no reason" : said);
}
