/* A connection's handshake.
 * Trusts the clock and the engine; every octet of the peer goes to OpenSSL and to nobody else.
 * Never waits longer than it was told to, whatever the peer sends or does not. */
#include "crypt/internal.h"

#include "sys/clock.h"
#include "sys/fd.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <string.h>

static bool
aim(struct tls_session *s, const char *name)
{
	if (s->engine->role == TLS_SERVER) {
		SSL_set_accept_state(s->ssl);
		return name == NULL || SSL_set1_host(s->ssl, name) == 1;
	}
	SSL_set_connect_state(s->ssl);
	if (name != NULL && target_is_address(name)) /* RFC 6066 3: no address is asked for as a name */
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(s->ssl), name) == 1;
	return name == NULL || (SSL_set_tlsext_host_name(s->ssl, name) == 1 && SSL_set1_host(s->ssl, name) == 1);
}

enum result
tls_begin(struct tls_session *s, const struct tls_engine *e, int net_fd, const char *name, struct why *why)
{
	*s = (struct tls_session){ .engine = e, .net_fd = net_fd, .ended_fd = -1, .proof = "" };
	if (fd_set_nonblocking(net_fd, true) != OK)
		return why_errno(why, BROKEN, "preparing a connection for TLS");
	s->ssl = SSL_new(e->ctx);
	if (s->ssl == NULL || SSL_set_app_data(s->ssl, s) != 1 || SSL_set_fd(s->ssl, net_fd) != 1 || !aim(s, name)) {
		tls_end(s);
		return why_set(why, EXHAUSTED, "no memory for a TLS session");
	}
	return OK;
}

enum result
tls_handshake(struct tls_session *s, unsigned ms, struct why *why)
{
	uint64_t now = clock_ms(), end = now + ms;
	struct pollfd p = { .fd = s->net_fd };
	int done, error;

	for (;;) {
		ERR_clear_error();
		errno = 0;
		done = SSL_do_handshake(s->ssl);
		if (done == 1)
			return target_settle(s, why);
		error = SSL_get_error(s->ssl, done);
		if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
			return failure_why(s, error, why);
		if ((now = clock_ms()) >= end)
			break;
		p.events = error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
		(void)poll(&p, 1, (int)(end - now));
	}
	s->blame = TLS_BLAME_SILENCE;
	return why_set(why, AGAIN,
	    SSL_get_state(s->ssl) == TLS_ST_BEFORE || SSL_in_before(s->ssl)
		? "the peer said nothing for %u s (does it speak plain text here?)"
		: "the handshake was not done in %u s",
	    ms / 1000);
}

void
tls_end(struct tls_session *s)
{
	SSL_free(s->ssl);
	s->ssl = NULL;
}
