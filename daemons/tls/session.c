/* A session of `tls`: one peer, one front end, one signature.
 * Trusts policy for what the session is; the peer for nothing, the front end for nothing but its octets.
 * Never lets plaintext through before policy has the facts, never signs: it asks the signer, once. */
#include "tls/session.h"

#include "crypt/variables.h"
#include "sys/log.h"
#include "wire/channel.h"
#include "wire/tls_facts.h"
#include "wire/tls_keyload.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SIGNER_MS 10000 /* a signature takes one */

enum { NET, PLAIN, SIGNER, FACTS, ENDED };

/* ---- the signature, from somewhere else ---- */

static enum result
ask_signer(void *context, const uint8_t spki[SPKI_LEN], uint16_t scheme, struct bytes text, struct buf *signature,
    struct why *why)
{
	static struct wire_buffer buffer;
	struct channel c = channel_of(*(int *)context, &tls_keyload_protocol, TK_TLS, true);
	struct tk_ask ask = { .scheme = scheme };
	struct pollfd p = { c.fd, POLLIN, 0 };
	struct wire_message m;
	enum result r;

	memcpy(ask.spki, spki, SPKI_LEN);
	if (text.len > TK_TEXT_MAX)
		return why_set(why, REFUSED, "the handshake is too long to be signed in TLS 1.2");
	if ((r = channel_send(&c, TK_ASK, 0, &ask, text, NULL, why)) != OK)
		return r;
	if (poll(&p, 1, SIGNER_MS) <= 0)
		return why_set(why, AGAIN, "keyload did not answer in time");
	if ((r = channel_receive(&c, &buffer, &m, why)) != OK)
		return r;
	if (m.type != TK_SIGNATURE)
		return why_set(why, REFUSED, "keyload refuses: %.*s", (int)m.tail.len, (const char *)m.tail.at);
	buf_add(signature, m.tail);
	return OK;
}

/* ---- what is told ---- */

static void
put_alerts(struct log_line *l, const struct tls_session *s)
{
	uint8_t room[256];
	struct buf text = BUF_OVER(room);

	for (unsigned i = 0; i < s->n_alerts; i++)
		/* an end of file is answered by OpenSSL as if it were a message */
		if (strcmp(s->alerts[i].name, "close notify") != 0 &&
		    (s->alerts[i].sent ? strcmp(s->alerts[i].name, "decode error") : 1) != 0)
			buf_format(&text, "%s%s %s", text.len > 0 ? ", " : "", s->alerts[i].sent ? "sent" : "received",
			    s->alerts[i].name);
	if (text.len > 0)
		log_bytes(l, "alert", buf_bytes(&text));
}

static const char *const blames[] = {
	[TLS_BLAME_US] = "this host", [TLS_BLAME_SILENCE] = "nobody", [TLS_BLAME_PEER] = "peer"
};

/* Trouble of this host is the administrator's; what peers do wrong is their own. */
static void
log_end_of(const char *event, const struct pt_session *p, const struct tls_session *s, const struct why *why)
{
	bool failed = strcmp(event, "tls-failed") == 0;
	struct log_line l;

	log_begin(&l, failed && s->blame == TLS_BLAME_US ? SEVERITY_ERROR : SEVERITY_INFO, event);
	log_text(&l, "conn", p->conn);
	if (failed)
		log_text(&l, "fault", blames[s->blame]);
	log_text(&l, "why", why->text);
	put_alerts(&l, s);
	log_end(&l);
}

static enum result
tell_policy(int fd, const struct tls_facts *f, struct why *why)
{
	struct channel c = channel_of(fd, &tls_facts_protocol, TF_TLS, true);
	struct tf_facts body = { .peer = (uint8_t)f->peer, .bits = (uint16_t)f->bits };
	uint8_t room[4096];
	struct buf tail = BUF_OVER(room);

	memcpy(body.fingerprint, f->fingerprint, sizeof body.fingerprint);
	memcpy(body.exporter, f->exporter, sizeof body.exporter);
	wire_put_string(&tail, f->protocol);
	wire_put_string(&tail, f->cipher);
	wire_put_string(&tail, f->group);
	wire_put_string(&tail, f->server_name);
	wire_put_string(&tail, f->verify);
	wire_put_string(&tail, f->subject);
	wire_put_string(&tail, f->common_name);
	wire_put(&tail, buf_bytes(&f->emails));
	wire_put_string(&tail, f->proof);
	wire_put_string(&tail, f->matched);
	if (tail.failed)
		return why_set(why, EXHAUSTED, "the peer's certificate says too much");
	return channel_send(&c, TF_FACTS, 0, &body, buf_bytes(&tail), NULL, why);
}

/* All that is known, in pieces: for a program's environment. */
static enum result
tell_variables(int fd, const struct tls_session *s, struct why *why)
{
	struct channel c = channel_of(fd, &tls_facts_protocol, TF_TLS, true);
	struct buf all = buf_growing(TF_VARIABLES_MAX);
	enum result r = OK;

	tls_variables(s, &all);
	if (all.failed)
		r = why_set(why, EXHAUSTED, "the certificates say too much for an environment");
	for (struct bytes rest = buf_bytes(&all); r == OK && rest.len > 0; rest = bytes_skip(rest, TF_PIECE))
		r = channel_send(&c, TF_VARIABLES, 0, NULL, bytes_first(rest, TF_PIECE), NULL, why);
	buf_free(&all);
	return r;
}

static void
tell_failure(int fd, enum tls_blame blame, const struct why *failure)
{
	static const uint8_t said[] = {
		[TLS_BLAME_US] = TF_BLAME_US, [TLS_BLAME_SILENCE] = TF_BLAME_SILENCE, [TLS_BLAME_PEER] = TF_BLAME_PEER
	};
	struct channel c = channel_of(fd, &tls_facts_protocol, TF_TLS, true);
	struct tf_failed body = { .blame = said[blame] };
	struct why why = WHY_NONE;

	if (channel_send(&c, TF_FAILED, 0, &body, bytes_of_string(failure->text), NULL, &why) != OK)
		return; /* policy has ended the session already */
}

static enum tls_demand
demand_of(const struct pt_session *p)
{
	static const enum tls_demand demands[] = { [PT_BY_ENGINE] = TLS_BY_ENGINE,
		[PT_ANY] = TLS_ANY,
		[PT_SHOWN] = TLS_SHOWN,
		[PT_CHAIN] = TLS_CHAIN,
		[PT_WILDCARD] = TLS_WILDCARD,
		[PT_NAME] = TLS_NAME,
		[PT_PIN] = TLS_PIN,
		[PT_DANE] = TLS_DANE };

	return p->demand < nitems(demands) ? demands[p->demand] : TLS_NAME;
}

/* A front end that is taken over may hand over any descriptor: flags that no socket has would be this engine's death, and
 * its zygote's with it. */
static bool
is_stream(int fd)
{
	int type = 0;
	socklen_t len = sizeof type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

static enum result
begin(struct tls_session *s, const struct tls_engine *e, const struct pt_session *p, const struct wanted *w, int net_fd,
    struct why *why)
{
	struct tls_target target = { .demand = demand_of(p),
		.names = w->names,
		.tlsa = w->tlsa,
		.pin = bytes_of(p->pin, p->pin_len <= PT_PIN_MAX ? p->pin_len : 0) };
	char name[TLS_NAME_MAX + 1] = "";
	enum result r;

	if (w->server.len < sizeof name)
		memcpy(name, w->server.at, w->server.len);
	r = tls_begin(s, e, net_fd, name[0] == '\0' ? NULL : name, why);
	if (r == OK && p->engine.role == PT_CLIENT)
		r = tls_aim(s, &target, why);
	return r;
}

static enum result
shake(struct tls_session *s, const struct tls_engine *e, const struct pt_session *p, const struct wanted *w,
    const int fds[5], struct why *why)
{
	static struct tls_facts facts;
	enum result r;

	if (!is_stream(fds[NET]) || !is_stream(fds[PLAIN]) || (fds[ENDED] >= 0 && !is_stream(fds[ENDED])))
		return why_set(why, MALFORMED, "a connection that is none");
	if ((r = begin(s, e, p, w, fds[NET], why)) != OK || (r = tls_handshake(s, p->handshake_ms, why)) != OK)
		return r;
	if (p->variables != 0 && (r = tell_variables(fds[FACTS], s, why)) != OK)
		return r;
	tls_facts(s, &facts);
	return tell_policy(fds[FACTS], &facts, why);
}

void
session_serve(const struct tls_engine *e, const struct pt_session *p, const struct wanted *w, const int fds[5])
{
	static struct tls_session s;
	struct why why = WHY_NONE;
	int signer = fds[SIGNER];
	enum result r;

	provider_set_signer(ask_signer, &signer);
	r = shake(&s, e, p, w, fds, &why);
	(void)close(fds[SIGNER]); /* no second signature */
	if (r != OK) {
		log_end_of("tls-failed", p, &s, &why);
		tell_failure(fds[FACTS], s.blame, &why);
		_exit(0);
	}
	(void)close(fds[FACTS]);
	s.ended_fd = fds[ENDED];
	if (tls_pump(&s, fds[PLAIN], p->idle_ms, &why) != OK)
		log_end_of("tls-end", p, &s, &why);
	_exit(0);
}
