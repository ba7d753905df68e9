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

/* ---- what is demanded ---- */

static enum pt_demand
demand_of(const struct secure_wish *w)
{
	static const enum pt_demand demands[] = { [RM_TLS_NEVER] = PT_ANY,
		[RM_TLS_OPPORTUNISTIC] = PT_ANY,
		[RM_TLS_CERTIFICATE] = PT_ANY, /* without one there is no way back to plain text: our caller looks */
		[RM_TLS_MANDATORY] = PT_ANY,
		[RM_TLS_CA] = PT_CHAIN,
		[RM_TLS_WILDCARD] = PT_WILDCARD,
		[RM_TLS_NAME] = PT_NAME,
		[RM_TLS_PIN] = PT_PIN };

	if (w->dane)
		return PT_DANE;
	return w->tls < nitems(demands) ? demands[w->tls] : PT_NAME;
}

static bool
needs_cas(enum pt_demand d)
{
	return d == PT_CHAIN || d == PT_WILDCARD || d == PT_NAME;
}

static struct pt_session
session_of(const struct secure_wish *w)
{
	struct pt_session p = { .engine.role = PT_CLIENT,
		.engine.depth = w->depth,
		.demand = (uint8_t)demand_of(w),
		.handshake_ms = w->handshake_ms,
		.idle_ms = w->idle_ms };

	p.engine.verify = p.demand == PT_ANY ? PT_VERIFY_NONE : PT_VERIFY_REQUIRED;
	if (p.demand == PT_PIN && w->pin.len <= sizeof p.pin) {
		memcpy(p.pin, w->pin.at, w->pin.len);
		p.pin_len = (uint8_t)w->pin.len;
	}
	(void)snprintf(p.conn, sizeof p.conn, "%s", w->conn);
	return p;
}

/* ---- and how it is said ---- */

static void
put_one(struct buf *tail, struct bytes one)
{
	uint8_t room[1100];
	struct buf list = BUF_OVER(room);

	if (one.len > 0)
		wire_put(&list, one);
	wire_put(tail, buf_bytes(&list));
}

/* The names that the certificate may have: the host's where it is vouched for, and the destination's. */
static void
put_names(struct buf *tail, const struct secure_wish *w)
{
	uint8_t room[800];
	struct buf list = BUF_OVER(room);

	if (w->dane || w->vouched) {
		wire_put(&list, w->host);
		if (w->known_as.len > 0)
			wire_put(&list, w->known_as);
	}
	wire_put(&list, w->destination);
	wire_put(tail, buf_bytes(&list));
}

static enum result
hand_over(const struct secure_wish *w, const int fds[4], struct why *why)
{
	struct channel door = channel_of(REMOTE_TLS_FD, &policy_tls_protocol, PT_POLICY, true);
	struct pt_session p = session_of(w);
	uint8_t room[7680];
	struct buf tail = BUF_OVER(room);
	struct bytes ca = w->ca.len > 0 ? w->ca : BYTES(PT_SYSTEM_CA);

	wire_put(&tail, BYTES("smtp"));
	put_one(&tail, w->certificate);
	wire_put(&tail, needs_cas((enum pt_demand)p.demand) ? ca : BYTES_NONE);
	wire_put(&tail, BYTES_NONE);
	wire_put(&tail, BYTES_NONE);
	wire_put(&tail, w->ciphers);
	wire_put(&tail, w->host);
	put_names(&tail, w);
	wire_put(&tail, w->dane ? w->tlsa : BYTES_NONE);
	if (tail.failed)
		return why_set(why, EXHAUSTED, "too much to tell the TLS engine");
	return channel_send(&door, PT_SESSION, 0, &p, buf_bytes(&tail), fds, why);
}

/* ---- what came of it ---- */

static void
copy_text(char *into, size_t size, struct bytes from)
{
	(void)snprintf(into, size, "%.*s", (int)from.len, (const char *)from.at);
}

static void
take_facts(const struct wire_message *m, struct secure_found *f)
{
	const struct tf_facts *facts = m->body;
	struct bytes fields[TF_N_FIELDS];

	f->shown = facts->peer != TF_PEER_NONE;
	if (!wire_take_all(m->tail, fields, TF_N_FIELDS))
		return;
	copy_text(f->protocol, sizeof f->protocol, fields[0]);
	copy_text(f->cipher, sizeof f->cipher, fields[1]);
	copy_text(f->how, sizeof f->how, fields[8]);
	copy_text(f->name, sizeof f->name, fields[9]);
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
	if (r != OK)
		fd_close(&plain[0]);
	*plain_fd = plain[0];
	return r;
}
