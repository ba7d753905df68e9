/* Handshakes for sessions of remote.
 * Trusts the engine for what the peer has proven; remote for the connection, and for what DNS says of its host.
 * Never lets remote say what is demanded, never waits: the engine's word comes by a channel of its own. */
#include "send/securing.h"

#include "net/tlsa.h"
#include "send/credentials.h"
#include "send/send.h"
#include "sys/fd.h"
#include "sys/log.h"
#include "wire/policy_tls.h"
#include "wire/tls_facts.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define HANDSHAKE_MS 300000

static struct port tls = { .channel.fd = -1 };

/* ---- the line to the engine ---- */

static enum result
nothing_expected(struct port *p, struct wire_message *m, struct why *why)
{
	(void)p;
	(void)m;
	return why_set(why, MALFORMED, "tls said something at its door");
}

static void
line_ended(struct port *p, enum result r, struct why *why)
{
	(void)p;
	log_why("tls", r, why); /* warden starts all of us anew */
}

static const struct port_events tls_events = { nothing_expected, line_ended };

enum result
securing_open(struct loop *loop, int tls_fd, struct why *why)
{
	tls.channel.fd = -1;
	if (tls_fd < 0)
		return OK;
	return port_open(
	    &tls, loop, channel_of(tls_fd, &policy_tls_protocol, PT_POLICY, false), &tls_events, ENGINE_LINE, why);
}

void
securing_close(void)
{
	port_close(&tls);
}

/* ---- what is demanded ---- */

/* What remote found in DNS. */
struct found {
	bool dane, vouched, nameless;
	struct bytes host, known_as, tlsa;
};

/* TLSA records decide where the policy lets them, and where one of them can be used: else what a line demands stays. Not whose password is given away where a line says what must be proven. */
static bool
dane_decides(const struct access *a, const struct found *f)
{
	const struct rm_peer *p = a->peer;

	if (!f->dane || p->dane == RM_DANE_OFF || (p->by_policy && p->dane == RM_DANE_AFTER))
		return false;
	if (!tlsa_has_usable(f->tlsa))
		return false;
	return a->user.len == 0 || !p->by_policy || p->tls < RM_TLS_CA;
}

static enum pt_demand
demand_of(const struct access *a, const struct found *f)
{
	static const enum pt_demand demands[] = { [RM_TLS_NEVER] = PT_ANY,
		[RM_TLS_OPPORTUNISTIC] = PT_ANY,
		[RM_TLS_CERTIFICATE] =
		    PT_ANY, /* remote looks whether one was shown: then there is no way back to plain text */
		[RM_TLS_MANDATORY] = PT_ANY,
		[RM_TLS_CA] = PT_CHAIN,
		[RM_TLS_WILDCARD] = PT_WILDCARD,
		[RM_TLS_NAME] = PT_NAME,
		[RM_TLS_PIN] = PT_PIN };

	if (dane_decides(a, f))
		return PT_DANE;
	return a->peer->tls < nitems(demands) ? demands[a->peer->tls] : PT_NAME;
}

static struct pt_session
session_of(const struct access *a, const struct found *f)
{
	const struct rm_peer *peer = a->peer;
	struct pt_session p = { .engine.role = PT_CLIENT,
		.engine.depth = peer->depth,
		.demand = (uint8_t)demand_of(a, f),
		.handshake_ms = peer->idle_ms < HANDSHAKE_MS ? peer->idle_ms : HANDSHAKE_MS,
		.idle_ms = peer->idle_ms };

	p.engine.verify = p.demand == PT_ANY ? PT_VERIFY_NONE : PT_VERIFY_REQUIRED;
	if (p.demand == PT_PIN && peer->pin_len <= sizeof p.pin) {
		memcpy(p.pin, peer->pin, peer->pin_len);
		p.pin_len = peer->pin_len;
	}
	(void)snprintf(p.conn, sizeof p.conn, "%s", a->conn);
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

/* The relay is one by the tables. Another host's name counts if DNSSEC vouches for it. */
static struct bytes
host_of(const struct access *a, const struct found *f)
{
	if (dane_decides(a, f))
		return f->host;
	return a->peer->is_relay ? a->relay : f->dane && f->known_as.len > 0 ? f->known_as : f->host;
}

/* The names that the certificate may have: the host's where it is vouched for, and the destination's. */
static void
put_names(struct buf *tail, const struct access *a, const struct found *f)
{
	uint8_t room[800];
	struct buf list = BUF_OVER(room);

	if (dane_decides(a, f) || a->peer->is_relay || f->vouched) {
		wire_put(&list, host_of(a, f));
		if (dane_decides(a, f) && f->known_as.len > 0)
			wire_put(&list, f->known_as);
	}
	wire_put(&list, a->destination);
	wire_put(tail, buf_bytes(&list));
}

/* fds: as policy_tls.h has them. */
static enum result
hand_over(struct securing *s, const struct access *a, const struct found *f, const int fds[4], struct why *why)
{
	struct pt_session p = session_of(a, f);
	bool needs_cas = p.demand == PT_CHAIN || p.demand == PT_WILDCARD || p.demand == PT_NAME;
	uint8_t room[7680];
	struct buf tail = BUF_OVER(room);

	s->demand = p.demand;
	wire_put(&tail, BYTES("smtp"));
	put_one(&tail, a->certificate);
	wire_put(&tail, !needs_cas ? BYTES_NONE : a->ca.len > 0 ? a->ca : BYTES(PT_SYSTEM_CA));
	wire_put(&tail, BYTES_NONE);
	wire_put(&tail, BYTES_NONE);
	wire_put(&tail, a->ciphers);
	wire_put(&tail, f->nameless && p.demand == PT_ANY ? BYTES_NONE : host_of(a, f));
	put_names(&tail, a, f);
	wire_put(&tail, p.demand == PT_DANE ? f->tlsa : BYTES_NONE);
	if (tail.failed)
		return why_set(why, EXHAUSTED, "too much to tell the TLS engine");
	if (!port_is_open(&tls))
		return why_set(why, ABSENT, "the TLS engine does not run");
	return port_send(&tls, PT_SESSION, 0, &p, buf_bytes(&tail), fds, why);
}

/* ---- what came of it ---- */

static void
refuse(struct securing *s, enum rm_blame blame, struct bytes text)
{
	struct rm_not_secured not_secured = { .blame = (uint8_t)blame };
	struct why why = WHY_NONE;

	fd_close(&s->its);
	fd_close(&s->ours);
	if (port_send(s->to, RM_NOT_SECURED, s->ref, &not_secured, bytes_first(text, WHY_MAX), NULL, &why) != OK)
		log_why("remote", BROKEN, &why); /* the end of that channel is noticed where it ends */
}

static void
grant(struct securing *s, const struct wire_message *m)
{
	const struct tf_facts *facts = m->body;
	struct rm_secured secured = { .shown = facts->peer != TF_PEER_NONE };
	struct bytes f[TF_N_FIELDS];
	uint8_t room[1024];
	struct buf tail = BUF_OVER(room);
	struct why why = WHY_NONE;

	if (!wire_take_all(m->tail, f, TF_N_FIELDS) || !tf_proof_fits(f[8], (enum pt_demand)s->demand)) {
		refuse(s, RM_BLAME_US, BYTES("the TLS engine's word on the peer makes no sense"));
		return;
	}
	wire_put(&tail, bytes_first(f[0], 64));
	wire_put(&tail, bytes_first(f[1], 128));
	wire_put(&tail, bytes_first(f[8], 64));
	wire_put(&tail, bytes_first(f[9], 255));
	if (port_send(s->to, RM_SECURED, s->ref, &secured, buf_bytes(&tail), &s->its, &why) != OK)
		log_why("remote", BROKEN, &why);
	if (s->keeps) {
		s->ours = s->its;
		s->its = -1;
	}
	fd_close(&s->its);
}

/* A word of the engine's that is not known is this host's trouble. */
static enum rm_blame
blame_of(const struct tf_failed *failed)
{
	return failed->blame == TF_BLAME_PEER   ? RM_BLAME_PEER
	    : failed->blame == TF_BLAME_SILENCE ? RM_BLAME_SILENCE
						: RM_BLAME_US;
}

static enum result
heard(struct port *p, struct wire_message *m, struct why *why)
{
	struct securing *s = container_of(p, struct securing, facts);

	(void)why;
	if (m->type == TF_FACTS)
		grant(s, m);
	else if (m->type == TF_FAILED)
		refuse(s, blame_of(m->body), m->tail);
	else
		refuse(s, RM_BLAME_US, BYTES("the TLS engine said what it was not asked"));
	port_close(&s->facts);
	return OK;
}

static void
ended(struct port *p, enum result r, struct why *why)
{
	(void)r;
	(void)why;
	refuse(container_of(p, struct securing, facts), RM_BLAME_DEATH,
	    BYTES("the TLS engine ended in the handshake, without a word"));
}

static const struct port_events facts_events = { heard, ended };

/* ---- its beginning ---- */

struct ends {
	int plain, facts, signer, nobody; /* the engine's; nobody: the other end of a signer that there is not */
};

static enum result
make(struct securing *s, const struct access *a, struct ends *e, struct why *why)
{
	int plain[2], facts[2], signer[2];
	enum result r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, plain) != 0)
		return why_errno(why, EXHAUSTED, "making a pair for plain text");
	s->its = plain[0];
	e->plain = plain[1];
	if ((r = channel_pair(facts, why)) != OK)
		return r;
	e->facts = facts[1];
	r = port_open(
	    &s->facts, s->to->loop, channel_of(facts[0], &tls_facts_protocol, TF_POLICY, false), &facts_events, 1, why);
	if (r != OK) {
		s->facts.channel.fd = -1;
		(void)close(facts[0]);
		return r;
	}
	if (a->certificate.len > 0) {
		struct why reason = WHY_NONE;

		if (credentials_buy_signer(a, &e->signer, &reason) == OK)
			return OK;
		log_why("signer", ABSENT, &reason);
	}
	if ((r = channel_pair(signer, why)) != OK)
		return r;
	e->nobody = signer[0];
	e->signer = signer[1];
	return OK;
}

enum result
securing_begin(struct securing *s, const struct access *a, struct port *to, struct wire_message *m, struct why *why)
{
	const struct rm_secure *ask = m->body;
	struct ends e = { -1, -1, -1, -1 };
	struct bytes f[RM_SECURE_FIELDS];
	struct why reason = WHY_NONE;
	struct found found;
	enum result r;

	if (port_is_open(&s->facts) || ++s->n > RM_HANDSHAKES_MAX || !wire_take_all(m->tail, f, RM_SECURE_FIELDS))
		return why_set(why, MALFORMED, "remote wants TLS out of turn");
	securing_leave(s);
	s->to = to;
	s->ref = m->ref;
	s->keeps = a->user.len > 0;
	found = (struct found){ ask->dane != 0, ask->vouched != 0, ask->nameless != 0, f[0], f[1], f[2] };
	r = make(s, a, &e, &reason);
	if (r == OK)
		r = hand_over(s, a, &found, (int[4]){ m->fds[0], e.plain, e.signer, e.facts }, &reason);
	fd_close(&e.plain);
	fd_close(&e.facts);
	fd_close(&e.signer);
	fd_close(&e.nobody);
	if (r != OK) {
		port_close(&s->facts);
		refuse(s, RM_BLAME_US, bytes_of_string(reason.text));
	}
	return OK;
}

bool
securing_made(const struct securing *s, int fd)
{
	struct stat ours, its;

	return s->ours >= 0 && fstat(s->ours, &ours) == 0 && fstat(fd, &its) == 0 && ours.st_dev == its.st_dev &&
	    ours.st_ino == its.st_ino;
}

void
securing_leave(struct securing *s)
{
	port_close(&s->facts);
	fd_close(&s->its);
	fd_close(&s->ours);
}
