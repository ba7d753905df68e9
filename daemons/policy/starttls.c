/* TLS of sessions.
 * Trusts the engine's word on the peer, which comes on a channel of its own; listen for the connection. The front end says when,
 * and nothing else.
 * Never lets a session that must be secure send before it is. */
#include "policy/starttls.h"

#include "policy/session.h"
#include "policy/privileges.h"
#include "sys/fd.h"
#include "sys/log.h"
#include "wire/policy_keyload.h"
#include "wire/policy_tls.h"
#include "wire/tls_keyload.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HANDSHAKE_SECONDS 30
#define SMTPS_PORT 465
#define POP3S_PORT 995

/* ---- the lines to the two zygotes ---- */

static enum result
nothing_expected(struct port *port, struct wire_message *m, struct why *why)
{
	(void)port;
	(void)m;
	return why_set(why, MALFORMED, "a zygote said something");
}

static void
line_ended(struct port *port, enum result r, struct why *why)
{
	(void)port;
	log_why("tls-line-ended", r, why);
}

static const struct port_events line_events = { nothing_expected, line_ended };

static enum result
open_line(struct policy *p, struct port *line, int fd, const struct wire_protocol *protocol, struct why *why)
{
	int type = 0;
	socklen_t len = sizeof type;

	line->channel.fd = -1;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || type != SOCK_SEQPACKET)
		return OK; /* a service for local programs */
	return port_open(
	    line, &p->loop, channel_of(fd, protocol, WIRE_FIRST, false), &line_events, p->settings.max_sessions, why);
}

enum result
starttls_open(struct policy *p, struct why *why)
{
	enum result r = open_line(p, &p->tls.tls, POLICY_TLS_FD, &policy_tls_protocol, why);

	p->tls.rack = RACK_NONE;
	if (r == OK && port_is_open(&p->tls.tls))
		r = rack_open(&p->tls.rack, POLICY_RACK_FD, why);
	return r == OK ? open_line(p, &p->tls.keyload, POLICY_KEYLOAD_FD, &policy_keyload_protocol, why) : r;
}

/* ---- what the rules say ---- */

static struct bytes
variable(const struct session *s, enum variable which)
{
	return variable_text(&s->client.says, which);
}

static bool
is_set_to(const struct session *s, enum variable which, const char *to)
{
	return variable_is(&s->client.says, which, to);
}

void
starttls_meet(struct policy *p, struct session *s)
{
	s->tls.wish = TLS_OFF;
	s->tls.state = TLS_PLAIN;
	s->tls.at_once = false;
	s->tls.peer = TF_PEER_NONE;
	s->tls.emails_len = 0;
	memset(s->tls.exporter, 0, sizeof s->tls.exporter);
	s->tls.facts.channel.fd = -1;
	s->client.tls = NULL;
	if (!port_is_open(&p->tls.tls) || !port_is_open(&p->tls.keyload) || s->client.is_local_program ||
	    variable(s, VAR_CERTFILE).len == 0 || is_set_to(s, VAR_UCSPITLS, "-"))
		return;
	s->tls.wish = is_set_to(s, VAR_UCSPITLS, "!") || is_set_to(s, VAR_UCSPITLS, "@") ? TLS_REQUIRED : TLS_OFFERED;
	if (p->settings.tls_at_once || s->client.peer.local_port == (p->settings.is_pop3 ? POP3S_PORT : SMTPS_PORT) ||
	    variable_is_set(&s->client.says, VAR_TLSATONCE)) {
		s->tls.at_once = true;
		s->tls.wish = TLS_REQUIRED;
	}
}

/* ---- the handshake's set-up ---- */

static enum pt_verify
verify_of(const struct session *s)
{
	struct bytes cas = variable(s, VAR_CCAFILE);

	if (cas.len == 0 || bytes_equal(cas, BYTES("-")) || is_set_to(s, VAR_CCAVERIFY, "-"))
		return PT_VERIFY_NONE;
	return variable_is_set(&s->client.says, VAR_CCAVERIFY) || is_set_to(s, VAR_UCSPITLS, "@") ? PT_VERIFY_REQUIRED
												  : PT_VERIFY_OPTIONAL;
}

static void
put_certificates(const struct session *s, struct buf *tail)
{
	uint8_t room[2048];
	struct buf list = BUF_OVER(room);
	struct bytes names = variable(s, VAR_CERTFILE), name;

	while (bytes_split(&names, ':', &name))
		wire_put(&list, name);
	wire_put(tail, buf_bytes(&list));
}

static struct bytes
ca_file(const struct session *s)
{
	struct bytes file = variable(s, VAR_CAFILE);

	return file.len > 0 ? file : variable(s, VAR_CADIR);
}

/* Whom a rule gives a certificate gets that one. */
static bool
may_choose(const struct session *s)
{
	return !variable_is_in_rule(&s->client.says, VAR_CERTFILE);
}

static enum result
ask_engine(struct policy *p, struct session *s, const int fds[4], struct why *why)
{
	struct pt_session ask = { .handshake_ms = HANDSHAKE_SECONDS * 1000,
		.idle_ms = (s->client.settings->idle_seconds + 5) * 1000, /* the front end's own limit comes first */
		.engine = { .role = PT_SERVER, .verify = (uint8_t)verify_of(s) } };
	bool asks = ask.engine.verify != PT_VERIFY_NONE;
	uint8_t room[6000];
	struct buf tail = BUF_OVER(room);

	memcpy(ask.conn, s->client.peer.conn, sizeof ask.conn);
	ask.engine.depth = (uint8_t)variable_number(&s->client.says, VAR_VERIFYDEPTH, 0);
	ask.engine.by_name = may_choose(s);
	wire_put_string(&tail, p->settings.is_pop3 ? "pop3" : "smtp");
	put_certificates(s, &tail);
	wire_put(&tail, asks ? ca_file(s) : BYTES_NONE);
	wire_put(&tail, asks ? variable(s, VAR_CCAFILE) : BYTES_NONE);
	wire_put(&tail, asks ? variable(s, VAR_CRLFILE) : BYTES_NONE);
	wire_put(&tail, variable(s, VAR_CIPHERS));
	wire_put(&tail, BYTES_NONE);
	if (tail.failed)
		return why_set(why, EXHAUSTED, "the rule's TLS variables are too long");
	return port_send(&p->tls.tls, PT_SESSION, 0, &ask, buf_bytes(&tail), fds, why);
}

/* The signer signs with the keys of the certificates that this client may be shown, whatever the engine asks for. */
static enum result
ask_signer(struct policy *p, const struct session *s, int fd, struct why *why)
{
	struct pk_signer ask = { .role = PK_TLS_SERVER, .by_name = may_choose(s), .wait_ms = HANDSHAKE_SECONDS * 1000 };
	struct bytes names = variable(s, VAR_CERTFILE), name, spki;
	uint8_t room[PK_KEYS_MAX];
	struct buf keys = BUF_OVER(room);

	while (bytes_split(&names, ':', &name))
		if (rack_find_key(&p->tls.rack, name, &spki) == OK)
			buf_add(&keys, spki);
	memcpy(ask.conn, s->client.peer.conn, sizeof ask.conn);
	if (keys.failed)
		return why_set(why, EXHAUSTED, "CERTFILE has more than %u certificates", PK_KEYS_MAX / RACK_KEY_LEN);
	return port_send(&p->tls.keyload, PK_SIGNER_OF, 0, &ask, buf_bytes(&keys), &fd, why);
}

/* Trouble of this host; what the peer did wrong the engine tells. */
static void
log_refused(const struct session *s, const char *why)
{
	struct log_line l;

	log_begin(&l, SEVERITY_ERROR, "starttls-refused");
	log_text(&l, "conn", s->client.peer.conn);
	log_text(&l, "why", why);
	log_end(&l);
}

/* ---- facts ---- */

static void
copy_text(char *into, size_t size, struct bytes from)
{
	size_t n = from.len < size ? from.len : size - 1;

	memcpy(into, from.at, n);
	into[n] = '\0';
}

static void
copy_emails(struct session_tls *t, struct bytes list)
{
	struct buf b = buf_over(t->emails, sizeof t->emails);
	struct bytes one;

	while (wire_take(&list, &one) && b.len + one.len + 2 <= sizeof t->emails)
		wire_put(&b, one);
	t->emails_len = b.len;
}

bool
starttls_may_credit(const struct session *s)
{
	return is_set_to(s, VAR_UCSPITLS, "?") || is_set_to(s, VAR_UCSPITLS, "@");
}

/* A verified certificate is as good as a password there. */
static void
credit(struct session *s)
{
	if (s->tls.peer == TF_PEER_VERIFIED && starttls_may_credit(s))
		s->client.relays = true;
}

static enum result
facts_came(struct port *port, struct wire_message *m, struct why *why)
{
	struct session_tls *t = container_of(port, struct session_tls, facts);
	struct session *s = container_of(t, struct session, tls);
	const struct tf_facts *facts = m->body;
	struct bytes fields[TF_N_FIELDS];

	if (m->type == TF_FAILED) {
		t->state = TLS_BROKEN;
		port_close(port);
		return OK;
	}
	if (m->type != TF_FACTS || t->state != TLS_SHAKING || !wire_take_all(m->tail, fields, TF_N_FIELDS) ||
	    !tf_peer_fits(facts->peer, verify_of(s)))
		return why_set(why, MALFORMED, "facts that can't be");
	t->state = TLS_SECURE;
	t->peer = (enum tf_peer)facts->peer;
	memcpy(t->exporter, facts->exporter, sizeof t->exporter);
	copy_text(t->protocol, sizeof t->protocol, fields[0]);
	copy_text(t->cipher, sizeof t->cipher, fields[1]);
	copy_text(t->group, sizeof t->group, fields[2]);
	copy_text(t->server_name, sizeof t->server_name, fields[3]);
	copy_text(t->common_name, sizeof t->common_name, fields[6]);
	copy_emails(t, t->peer == TF_PEER_VERIFIED ? fields[7] : BYTES_NONE);
	s->client.tls = t;
	credit(s);
	port_close(port);
	return OK;
}

static void
facts_ended(struct port *port, enum result r, struct why *why)
{
	struct session_tls *t = container_of(port, struct session_tls, facts);

	if (r != ABSENT)
		log_why("tls-facts", r, why);
	if (t->state != TLS_SHAKING)
		return;
	t->state = TLS_BROKEN; /* the front end sees its end of the plaintext close */
	log_refused(container_of(t, struct session, tls), "the TLS engine ended in the handshake, without a word");
}

static const struct port_events facts_events = { facts_came, facts_ended };

enum result
starttls_settle(struct session *s, struct why *why)
{
	if (s->tls.state == TLS_SHAKING && port_is_open(&s->tls.facts))
		s->tls.facts.source.ready(s->tls.facts.loop, &s->tls.facts.source, EPOLLIN);
	if (s->tls.state == TLS_SHAKING || s->tls.state == TLS_BROKEN)
		return why_set(why, MALFORMED, "a request before the handshake was done");
	return OK;
}

/* ---- the exchange ---- */

/* One of the rule's certificates is there: what could not be read or does not fit its key was left out when the service
 * started, and said so. */
static enum result
find_certificate(const struct policy *p, const struct session *s, struct why *why)
{
	struct bytes names = variable(s, VAR_CERTFILE), name, ignored;

	while (bytes_split(&names, ':', &name))
		if (rack_find_pair(&p->tls.rack, name, &ignored, &ignored) == OK)
			return OK;
	return why_set(why, ABSENT, "no certificate of CERTFILE could be used when the service started");
}

enum { PLAIN_OURS, PLAIN_ENGINE, SIGNER_ENGINE, SIGNER_KEYLOAD, FACTS_ENGINE, FACTS_OURS, N_ENDS };

static bool
make_ends(int ends[N_ENDS])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends + PLAIN_OURS) == 0 &&
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends + SIGNER_ENGINE) == 0 &&
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends + FACTS_ENGINE) == 0;
}

static enum result
join_ends(struct policy *p, struct session *s, int ends[N_ENDS], struct why *why)
{
	int to_engine[4] = { s->connection, ends[PLAIN_ENGINE], ends[SIGNER_ENGINE], ends[FACTS_ENGINE] };
	struct channel facts = channel_of(ends[FACTS_OURS], &tls_facts_protocol, TF_POLICY, false);
	enum result r;

	if ((r = ask_signer(p, s, ends[SIGNER_KEYLOAD], why)) != OK || (r = ask_engine(p, s, to_engine, why)) != OK)
		return r;
	r = port_open(&s->tls.facts, &p->loop, facts, &facts_events, 1, why);
	ends[FACTS_OURS] = -1; /* the port's now */
	return r;
}

static enum result
join(struct policy *p, struct session *s, int ends[N_ENDS], struct why *why)
{
	return make_ends(ends) ? join_ends(p, s, ends, why) : why_set(why, EXHAUSTED, "no descriptors for TLS");
}

/* The engine has the connection. A user's own process will need the plain text in its place. */
static void
let_go(const struct policy *p, struct session *s, int ends[N_ENDS])
{
	fd_close(&s->connection);
	if (!p->settings.is_pop3)
		return;
	s->connection = ends[PLAIN_OURS];
	ends[PLAIN_OURS] = -1;
}

enum result
starttls_begin(struct policy *p, struct session *s, struct why *why)
{
	struct reply no = REFUSAL(454, 4, 7, 0, "TLS not available due to temporary reason", "tls not available");
	struct why reason = WHY_NONE;
	int ends[N_ENDS] = { -1, -1, -1, -1, -1, -1 };
	enum result r;

	if (s->tls.wish == TLS_OFF || s->tls.state != TLS_PLAIN)
		return why_set(why, MALFORMED, "STARTTLS where there is none");
	r = find_certificate(p, s, &reason);
	if (r == OK)
		r = join(p, s, ends, &reason);
	if (r == OK) {
		s->tls.state = TLS_SHAKING;
		r = port_send(&s->port, SP_TLS_PLAIN, 0, NULL, BYTES_NONE, &ends[PLAIN_OURS], &reason);
		let_go(p, s, ends);
	} else {
		log_refused(s, reason.text);
		session_answer(p, s, &no);
		r = OK;
	}
	for (size_t i = 0; i < N_ENDS; i++)
		fd_close(&ends[i]);
	return r == OK ? OK : why_set(why, r, "%s", reason.text);
}

bool
starttls_has_email(const struct session_tls *t, struct bytes address)
{
	struct bytes list = bytes_of(t->emails, t->emails_len), one;

	while (wire_take(&list, &one))
		if (bytes_equal_nocase(one, address))
			return true;
	return false;
}

void
starttls_end(struct session *s)
{
	port_close(&s->tls.facts);
}
