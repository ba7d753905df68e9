/* Authentication of sessions.
 * Trusts auth for who somebody is; of a front end only the form of its requests. What is in a response is not looked at here.
 * Never lets a front end use a mechanism that its connection is not offered, nor authenticate twice. */
#include "policy/login.h"

#include "base/secret.h"
#include "policy/session.h"
#include "policy/privileges.h"
#include "sys/fd.h"
#include "sys/log.h"
#include "wire/policy_pop3box.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_WAITING 4096
#define PATIENCE_MS 120000 /* hashes are slow, and wait for each other */

/* ---- what is offered ---- */

/* SMTPAUTH as s/qmail has it: "-", unset: none; "", !: PLAIN and LOGIN; cram, !cram: CRAM-MD5; +cram, !+cram: all of these.
 * A submission service, and POP3, offer what the item mechanisms says where it is unset. */
static uint16_t
wanted(const struct policy *p, const struct session *s)
{
	const uint16_t plain = 1u << SP_PLAIN | 1u << SP_LOGIN, cram = 1u << SP_CRAM_MD5;
	struct bytes how = variable_text(&s->client.says, VAR_SMTPAUTH);

	if (p->settings.is_pop3)
		return p->settings.mechanisms;
	if (how.at == NULL)
		return p->settings.is_submission ? p->settings.mechanisms : 0;
	if (how.len > 0 && how.at[0] == '!')
		how = bytes_skip(how, 1);
	if (bytes_equal(how, BYTES("-")))
		return 0;
	if (bytes_equal(how, BYTES("cram")))
		return cram;
	if (bytes_equal(how, BYTES("+cram")))
		return plain | cram;
	return p->settings.mechanisms;
}

bool
login_is_required(const struct policy *p, const struct session *s)
{
	struct bytes how = variable_text(&s->client.says, VAR_SMTPAUTH);

	if (p->settings.is_pop3 || s->client.relays || starttls_may_credit(s))
		return false;
	return how.at != NULL ? how.len > 0 && how.at[0] == '!' : p->settings.is_submission;
}

static bool
can_bind(const struct policy *p, const struct session *s)
{
	static const uint8_t none[sizeof s->tls.exporter];

	return s->tls.state == TLS_SECURE && (wanted(p, s) & 1u << SP_SCRAM_SHA_256_PLUS) &&
	    memcmp(s->tls.exporter, none, sizeof none) != 0;
}

uint16_t
login_offers(const struct policy *p, const struct session *s, bool secure)
{
	uint16_t offered = wanted(p, s);

	if (!port_is_open(&p->auth.port) || (!secure && !variable_is_set(&s->client.says, VAR_AUTHINCLEAR)))
		return 0;
	if (!p->settings.is_pop3)
		offered &= (uint16_t) ~(1u << SP_APOP);
	if (!secure)
		offered &= (uint16_t) ~(1u << SP_EXTERNAL | 1u << SP_SCRAM_SHA_256_PLUS);
	return offered;
}

/* RFC 1939 7: a text in the form of a Message-ID that never comes again */
static void
make_timestamp(const struct policy *p, struct session *s)
{
	uint64_t random;
	struct bytes me = p->settings.me;

	if (getrandom(&random, sizeof random, 0) != sizeof random)
		s->login.timestamp[0] = '\0';
	else
		(void)snprintf(s->login.timestamp, sizeof s->login.timestamp, "<%s.%llx@%.*s>", s->client.peer.conn,
		    (unsigned long long)random, (int)me.len, (const char *)me.at);
}

void
login_meet(struct policy *p, struct session *s)
{
	s->login.state = LOGIN_NONE;
	s->login.ref = 0;
	s->login.user_len = 0;
	s->login.timestamp[0] = '\0';
	s->client.user = BYTES_NONE;
	if ((login_offers(p, s, true) | login_offers(p, s, false)) & 1u << SP_APOP)
		make_timestamp(p, s);
}

bool
login_allows(const struct policy *p, const struct session *s, uint16_t type)
{
	bool of_mail = type != SP_AUTH && type != SP_SASL && type != SP_BOX && type != SP_TLS_START;

	switch (s->login.state) {
	case LOGIN_NONE:
		return type != SP_SASL && type != SP_BOX && !(p->settings.is_pop3 && of_mail);
	case LOGIN_ASKED:
		return false;
	case LOGIN_CHALLENGED:
		return type == SP_SASL;
	case LOGIN_DONE:
		return p->settings.is_pop3 ? type == SP_BOX : of_mail;
	case LOGIN_BOXED:
		return false;
	}
	return false;
}

/* ---- the exchange ---- */

static void
answer(struct policy *p, struct session *s, const struct pa_result *result, struct bytes text)
{
	struct sp_answer a = { .code = result->code, .close = result->close };
	struct why why = WHY_NONE;

	memcpy(a.enhanced, result->enhanced, sizeof a.enhanced);
	if (port_is_open(&s->port) && port_send(&s->port, SP_ANSWER, 0, &a, text, NULL, &why) != OK)
		session_end(p, s);
}

static void
answer_trouble(struct policy *p, struct session *s)
{
	s->login.state = LOGIN_NONE;
	answer(p, s, &(struct pa_result){ .code = 454, .enhanced = { 4, 7, 0 } },
	    BYTES("authentication is not possible now, try again later"));
}

static enum result
ask(struct policy *p, struct session *s, uint16_t type, const void *body, struct bytes tail)
{
	struct why why = WHY_NONE;
	enum result r = ABSENT;

	if (port_is_open(&p->auth.port) && s->login.ref != 0)
		r = port_send(&p->auth.port, type, s->login.ref, body, tail, NULL, &why);
	if (r == OK) {
		s->login.state = LOGIN_ASKED;
		return OK;
	}
	log_why("auth", r, &why);
	calls_withdraw(&p->auth.asked, s->login.ref);
	s->login.ref = 0;
	answer_trouble(p, s);
	return OK;
}

/* ---- what auth says ---- */

/* Fields of a PA_RESULT. */
static bool
take_result(const struct wire_message *m, struct bytes fields[2])
{
	const struct pa_result *result = m->body;

	return wire_take_all(m->tail, fields, 2) && fields[0].len <= PA_USER_MAX && fields[1].len <= SP_TEXT_MAX &&
	    (result->code == 235 || (result->code >= 400 && result->code <= 599)) &&
	    (result->code == 235) == (fields[0].len > 0);
}

static void
conclude(struct policy *p, struct session *s, const struct wire_message *m)
{
	const struct pa_result *result = m->body;
	struct bytes fields[2];

	if (!take_result(m, fields))
		return; /* from_auth has looked */
	s->login.state = LOGIN_NONE;
	if (result->code == 235) {
		s->login.state = LOGIN_DONE;
		memcpy(s->login.user, fields[0].at, fields[0].len);
		s->login.user_len = (uint16_t)fields[0].len;
		s->client.user = bytes_of(s->login.user, s->login.user_len);
		s->client.relays = true;
	} else
		s->login.ref = 0; /* auth has forgotten it */
	answer(p, s, result, fields[1]);
}

static void
challenge(struct policy *p, struct session *s, const struct wire_message *m)
{
	struct why why = WHY_NONE;

	s->login.state = LOGIN_CHALLENGED;
	if (port_send(&s->port, SP_CHALLENGE, 0, NULL, m->tail, NULL, &why) != OK)
		session_end(p, s);
}

/* Auth is told before the exchange is forgotten here. */
static void
forget(struct policy *p, struct session *s)
{
	struct why why = WHY_NONE;

	if (s->login.ref != 0 && port_is_open(&p->auth.port) &&
	    port_send(&p->auth.port, PA_FORGET, s->login.ref, NULL, BYTES_NONE, NULL, &why) != OK)
		log_why("auth", BROKEN, &why);
	calls_withdraw(&p->auth.asked, s->login.ref);
	s->login.ref = 0;
}

static void
said(struct calls *c, struct caller *who, unsigned what, enum call_end how, struct wire_message *m)
{
	struct policy *p = policy_of_loop(c->loop);
	struct session *s = container_of(who, struct session, login.caller);

	(void)what;
	if (how == CALL_HEARD && s->login.state == LOGIN_ASKED)
		challenge(p, s, m);
	else if (how == CALL_ANSWERED)
		conclude(p, s, m);
	else if (how != CALL_HEARD) {
		if (how == CALL_EXPIRED)
			forget(p, s);
		s->login.ref = 0;
		if (s->login.state == LOGIN_ASKED)
			answer_trouble(p, s);
	}
}

static enum result
from_auth(struct port *port, struct wire_message *m, struct why *why)
{
	struct calls *asked = &policy_of_loop(port->loop)->auth.asked;
	struct bytes ignored[2];

	if (m->type == PA_RESULT && !take_result(m, ignored))
		return why_set(why, MALFORMED, "auth gave a result that can't be");
	if (m->type != PA_RESULT && m->type != PA_CHALLENGE)
		return why_set(why, MALFORMED, "unexpected message %u from auth", m->type);
	if (m->type == PA_RESULT) /* nobody may be there: its session has ended meanwhile */
		(void)calls_answered(asked, m->ref, m);
	else
		(void)calls_heard(asked, m->ref, m);
	return OK;
}

static void
auth_ended(struct port *port, enum result r, struct why *why)
{
	log_why("auth-gone", r, why);
	calls_broken(&policy_of_loop(port->loop)->auth.asked);
}

static const struct port_events auth_events = { from_auth, auth_ended };

enum result
login_open(struct policy *p, struct why *why)
{
	int type = 0;
	socklen_t len = sizeof type;
	enum result r;

	p->auth.port.channel.fd = -1;
	p->auth.asked = calls_of(&p->loop, 2 * (size_t)p->settings.max_sessions);
	if (getsockopt(POLICY_AUTH_FD, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || type != SOCK_SEQPACKET)
		return OK; /* a service without */
	r = port_open(&p->auth.port, &p->loop, channel_of(POLICY_AUTH_FD, &policy_auth_protocol, PA_POLICY, false),
	    &auth_events, LINE_WAITING, why);
	p->auth.port.secret = true;
	return r;
}

/* ---- the exchange ---- */

enum result
login_begin(struct policy *p, struct session *s, const struct wire_message *m, struct why *why)
{
	const struct sp_auth *auth = m->body;
	bool secure = s->tls.state == TLS_SECURE;
	struct pa_begin begin = { .mechanism = auth->mechanism,
		.initial = auth->initial != 0,
		.secure = secure,
		.family = s->client.peer.family };
	uint8_t room[5000];
	struct buf tail = BUF_OVER(room);
	enum result r;

	if (auth->mechanism >= SP_N_MECHANISMS || !(login_offers(p, s, secure) & 1u << auth->mechanism))
		return why_set(why, MALFORMED, "a mechanism that is not offered");
	memcpy(begin.conn, s->client.peer.conn, sizeof begin.conn);
	memcpy(begin.remote, s->client.peer.remote, sizeof begin.remote);
	wire_put(&tail, m->tail);
	wire_put_string(&tail, s->login.timestamp);
	wire_put(&tail, s->tls.peer == TF_PEER_VERIFIED ? bytes_of(s->tls.emails, s->tls.emails_len) : BYTES_NONE);
	wire_put(&tail, can_bind(p, s) ? bytes_of(s->tls.exporter, sizeof s->tls.exporter) : BYTES_NONE);
	if (buf_result(&tail) != OK)
		return why_set(why, MALFORMED, "a response that is too long");
	s->login.ref = calls_ask(&p->auth.asked, &s->login.caller, 0, said, PATIENCE_MS);
	r = ask(p, s, PA_BEGIN, &begin, buf_bytes(&tail));
	secret_wipe(room, tail.len);
	return r;
}

enum result
login_respond(struct policy *p, struct session *s, const struct wire_message *m, struct why *why)
{
	(void)why;
	calls_renew(&p->auth.asked, s->login.ref, PATIENCE_MS);
	return ask(p, s, PA_RESPONSE, NULL, m->tail);
}

void
login_end(struct policy *p, struct session *s)
{
	forget(p, s);
	s->login.state = LOGIN_NONE;
}

/* ---- POP3: the user's own process goes on ---- */

static enum result
box_says(struct port *port, struct wire_message *m, struct why *why)
{
	(void)port;
	(void)m;
	return why_set(why, MALFORMED, "a pop3box said something");
}

static void
box_ended(struct port *port, enum result r, struct why *why)
{
	session_lost(policy_of_loop(port->loop), container_of(port, struct session, port), "pop3box", r, why);
}

static const struct port_events box_events = { box_says, box_ended };

/* From here on the session is over when its pop3box has closed this channel, or those who hand it on. */
static enum result
tell_box(struct policy *p, struct session *s, const struct wire_message *m, int fd, struct why *why)
{
	const struct sp_box *box = m->body;
	struct pb_session tell = { .idle_seconds = p->settings.idle_seconds,
		.session_seconds = p->settings.session_seconds,
		.max_errors = p->settings.max_errors,
		.flags = (box->utf8 != 0 ? (uint32_t)PB_UTF8 : 0) |
		    (s->tls.state == TLS_SECURE ? (uint32_t)PB_SECURE : 0) };
	struct channel c = channel_of(fd, &policy_pop3box_protocol, PB_POLICY, false);
	uint8_t room[PB_USER_MAX + PB_AHEAD_MAX + 4];
	struct buf tail = BUF_OVER(room);
	enum result r;

	memcpy(tell.conn, s->client.peer.conn, sizeof tell.conn);
	wire_put(&tail, s->client.user);
	wire_put(&tail, m->tail);
	r = buf_result(&tail) == OK ? port_open(&s->port, &p->loop, c, &box_events, 1, why)
				    : why_set(why, MALFORMED, "more was read ahead than may be");
	if (r != OK) {
		(void)close(fd);
		return r;
	}
	return port_send(&s->port, PB_SESSION, 0, &tell, buf_bytes(&tail), &s->connection, why);
}

static enum result
hand_over(struct policy *p, struct session *s, const struct wire_message *m, struct why *why)
{
	int pair[2];
	enum result r = channel_pair(pair, why);

	if (r != OK)
		return r;
	r = tell_box(p, s, m, pair[0], why);
	if (r == OK)
		r = port_is_open(&p->auth.port)
		    ? port_send(&p->auth.port, PA_BOX, s->login.ref, NULL, BYTES_NONE, &pair[1], why)
		    : why_set(why, ABSENT, "auth is gone");
	(void)close(pair[1]);
	return r;
}

/* The front end has nothing more to say: its channel is closed first, and its place taken by the one to the pop3box. */
enum result
login_box(struct policy *p, struct session *s, const struct wire_message *m, struct why *why)
{
	enum result r;

	port_close(&s->port);
	r = hand_over(p, s, m, why);
	fd_close(&s->connection);
	s->login.ref = 0; /* auth has handed it on */
	s->login.state = LOGIN_BOXED;
	if (r != OK)
		session_lost(p, s, "auth", r, why);
	return OK;
}
