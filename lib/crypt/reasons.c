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

enum result
failure_why(const struct tls_session *s, int ssl_error, struct why *why)
{
	unsigned long e = ERR_peek_error();
	const char *known = words_for(e), *said = ERR_reason_error_string(e);

	if (ssl_error == SSL_ERROR_SYSCALL && e == 0)
		return errno != 0 && errno != ECONNRESET && errno != EPIPE
		    ? why_errno(why, ABSENT, "the connection broke")
		    : why_set(why, ABSENT, "the peer hung up");
	if (provider_failure()[0] != '\0')
		return why_set(why, BROKEN, "no signature: %s", provider_failure());
	if (ERR_GET_LIB(e) == ERR_LIB_SSL && ERR_GET_REASON(e) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return why_set(why, ABSENT, "the peer hung up");
	if (ERR_GET_LIB(e) == ERR_LIB_SSL && ERR_GET_REASON(e) == SSL_R_CERTIFICATE_VERIFY_FAILED &&
	    s->fault[0] != '\0')
		return why_set(why, REFUSED, "%s", s->fault);
	if (ERR_GET_LIB(e) == ERR_LIB_SSL && ERR_GET_REASON(e) == SSL_R_CERTIFICATE_VERIFY_FAILED)
		return why_set(why, REFUSED, "the peer's certificate does not verify: %s",
		    X509_verify_cert_error_string(SSL_get_verify_result(s->ssl)));
	if (known != NULL)
		return why_set(why, REFUSED, "%s", known);
	return why_set(why, REFUSED, "%s", said == NULL ? "the TLS library gives no reason" : said);
}
