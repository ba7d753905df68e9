/* Connections handed to `tls`.
 * Trusts the engine for what it says of the peer: it is the one that checks.
 * Never reads an octet of the connection itself. */
#include "remote/secure.h"

#include "remote/privileges.h"
#include "sys/clock.h"
#include "sys/fd.h"
#include "wire/channel.h"
#include "wire/policy_tls.h"
#include "wire/tls_facts.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GRACE_MS 5000 /* for the engine's own limit to come first */

static struct pt_session
session_of(const struct secure_wish *w)
{
	struct pt_session p = { .engine.role = PT_CLIENT,
		.engine.depth = w->depth,
		.engine.verify = w->tls >= RM_TLS_CA ? PT_VERIFY_REQUIRED : PT_VERIFY_NONE,
		.handshake_ms = w->handshake_ms,
		.idle_ms = w->idle_ms };

	(void)snprintf(p.conn, sizeof p.conn, "%s", w->conn);
	return p;
}

static void
put_certificate(struct buf *tail, struct bytes certificate)
{
	uint8_t room[1100];
	struct buf list = BUF_OVER(room);

	if (certificate.len > 0)
		wire_put(&list, certificate);
	wire_put(tail, buf_bytes(&list));
}

static enum result
hand_over(const struct secure_wish *w, const int fds[4], struct why *why)
{
	struct channel door = channel_of(REMOTE_TLS_FD, &policy_tls_protocol, PT_POLICY, true);
	struct pt_session p = session_of(w);
	uint8_t room[6144];
	struct buf tail = BUF_OVER(room);

	wire_put(&tail, BYTES("smtp"));
	put_certificate(&tail, w->certificate);
	wire_put(&tail, w->ca);
	wire_put(&tail, BYTES_NONE);
	wire_put(&tail, BYTES_NONE);
	wire_put(&tail, w->ciphers);
	wire_put(&tail, w->host);
	if (tail.failed)
		return why_set(why, EXHAUSTED, "too much to tell the TLS engine");
	return channel_send(&door, PT_SESSION, 0, &p, buf_bytes(&tail), fds, why);
}

static void
take_facts(const struct wire_message *m, struct secure_found *f)
{
	struct bytes fields[TF_N_FIELDS];

	if (!wire_take_all(m->tail, fields, TF_N_FIELDS))
		return;
	(void)snprintf(f->protocol, sizeof f->protocol, "%.*s", (int)fields[0].len, (const char *)fields[0].at);
	(void)snprintf(f->cipher, sizeof f->cipher, "%.*s", (int)fields[1].len, (const char *)fields[1].at);
}

static enum result
await(int fd, uint64_t ms, struct secure_found *f, struct why *why)
{
	static struct wire_buffer buffer;
	struct channel c = channel_of(fd, &tls_facts_protocol, TF_POLICY, false);
	struct pollfd p = { fd, POLLIN, 0 };
	struct wire_message m;
	enum result r;

	if (poll(&p, 1, (int)ms) <= 0)
		return why_set(why, BROKEN, "the TLS engine did not answer");
	if ((r = channel_receive(&c, &buffer, &m, why)) != OK)
		return r;
	if (m.type == TF_FAILED)
		return why_set(why, REFUSED, "%.*s", (int)m.tail.len, (const char *)m.tail.at);
	take_facts(&m, f);
	return OK;
}

enum result
secure_begin(int net_fd, const struct secure_wish *w, int *plain_fd, struct secure_found *f, struct why *why)
{
	int plain[2] = { -1, -1 }, facts[2] = { -1, -1 }, signer[2] = { -1, -1 };
	enum result r = OK;

	memset(f, 0, sizeof *f);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, plain) != 0)
		r = why_errno(why, EXHAUSTED, "making a pair for plain text");
	if (r == OK && (r = channel_pair(facts, why)) == OK && w->signer < 0)
		r = channel_pair(signer, why); /* nobody is at the other end: there is no key to sign with */
	if (r == OK)
		r = hand_over(w, (int[4]){ net_fd, plain[1], w->signer >= 0 ? w->signer : signer[1], facts[1] }, why);
	fd_close(&plain[1]);
	fd_close(&facts[1]);
	fd_close(&signer[0]);
	fd_close(&signer[1]);
	if (r == OK)
		r = await(facts[0], w->handshake_ms + GRACE_MS, f, why);
	fd_close(&facts[0]);
	if (r == OK && fd_set_nonblocking(plain[0], true) != OK)
		r = why_set(why, BROKEN, "the plain text can't be made non-blocking");
	if (r != OK)
		fd_close(&plain[0]);
	*plain_fd = plain[0];
	return r;
}
