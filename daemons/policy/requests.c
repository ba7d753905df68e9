/* The roof of policy: who may ask for what, and when; how sessions begin, go on and end.
 * Trusts listen for who is connected; nothing that a front end says beyond its form, which is checked here: a request out of
 * turn or out of bounds ends that session and no other.
 * Never allocates a session's memory while running, never answers twice. */
#include "policy/requests.h"

#include "policy/checks.h"
#include "policy/message.h"
#include "policy/rcpt.h"
#include "policy/session.h"
#include "policy/transaction.h"
#include "policy/welcome.h"

#include "base/id.h"
#include "sys/clock.h"
#include "sys/fd.h"
#include "sys/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NO_SESSION UINT32_MAX
#define SESSION_LINE 4 /* answers that may wait: one is outstanding at a time */

/* ---- requests ---- */

static enum result
on_data(struct policy *p, struct session *s, const struct wire_message *m, struct why *why)
{
	(void)m;
	(void)why;
	message_begin(p, s);
	return OK;
}

static enum result
on_commit(struct policy *p, struct session *s, const struct wire_message *m, struct why *why)
{
	(void)why;
	message_whole(p, s, m->body);
	return OK;
}

static enum result
on_reset(struct policy *p, struct session *s, const struct wire_message *m, struct why *why)
{
	(void)m;
	(void)why;
	transaction_abort(p, s);
	return OK;
}

static enum result
on_early(struct policy *p, struct session *s, const struct wire_message *m, struct why *why)
{
	struct reply r = REFUSAL(554, 5, 5, 0, "you must wait for the greeting", "spoke before the greeting");

	(void)m;
	(void)why;
	r.answer.close = 1;
	session_decide(p, s, &r, BYTES_NONE);
	return OK;
}

static enum result
on_tls_start(struct policy *p, struct session *s, const struct wire_message *m, struct why *why)
{
	(void)m;
	return starttls_begin(p, s, why);
}

#define WHILE(stage) (1u << STAGE_##stage)

static const struct {
	unsigned when;
	enum result (*handle)(struct policy *p, struct session *s, const struct wire_message *m, struct why *why);
} turns[] = {
	[SP_EARLY] = { WHILE(IDLE), on_early },
	[SP_BEGIN] = { WHILE(IDLE), rcpt_on_begin },
	[SP_RCPT] = { WHILE(ENVELOPE), rcpt_on_another },
	[SP_DATA] = { WHILE(ENVELOPE), on_data },
	[SP_COMMIT] = { WHILE(WRITING), on_commit },
	[SP_TLS_START] = { WHILE(IDLE), on_tls_start },
	[SP_AUTH] = { WHILE(IDLE), login_begin },
	[SP_SASL] = { WHILE(IDLE), login_respond },
	[SP_BOX] = { WHILE(IDLE), login_box },
	[SP_RESET] = { WHILE(IDLE) | WHILE(ENVELOPE) | WHILE(WRITING), on_reset },
};

static enum result
from_session(struct port *port, struct wire_message *m, struct why *why)
{
	struct session *s = container_of(port, struct session, port);
	enum result r;

	if (m->type == SP_TELL && s->stage != STAGE_ARRIVED && s->login.state != LOGIN_BOXED)
		return session_told(s, m, why);
	if (m->type >= nitems(turns) || turns[m->type].handle == NULL || !(turns[m->type].when & 1u << s->stage) ||
	    !login_allows(policy_of_loop(port->loop), s, m->type))
		return why_set(why, MALFORMED, "%s out of turn", smtpd_policy_protocol.rows[m->type].name);
	if (s->tls.state != TLS_PLAIN && (r = starttls_settle(s, why)) != OK)
		return r;
	return turns[m->type].handle(policy_of_loop(port->loop), s, m, why);
}

static void
session_ended(struct port *port, enum result r, struct why *why)
{
	session_lost(policy_of_loop(port->loop), container_of(port, struct session, port), "smtpd", r, why);
}

static const struct port_events session_events = { from_session, session_ended };

/* ---- beginnings and ends ---- */

static void
tell_listen(struct policy *p, uint32_t slot)
{
	struct lp_ended ended = { slot };
	struct why why = WHY_NONE;
	enum result r = ABSENT;

	if (port_is_open(&p->listen))
		r = port_send(&p->listen, LP_ENDED, 0, &ended, BYTES_NONE, NULL, &why);
	if (r != OK && r != ABSENT) /* if it is gone its port says so */
		log_why("listen", r, &why);
}

/* All that ended in one turn of the loop are told together, so that listen is woken once. */
void
requests_tell_ended(struct policy *p)
{
	for (uint32_t i = 0; i < p->n_ended; i++)
		tell_listen(p, p->ended[i]);
	p->n_ended = 0;
}

static void
note_ended(struct policy *p, uint32_t slot)
{
	if (p->n_ended == POLICY_ENDED_MAX)
		requests_tell_ended(p);
	p->ended[p->n_ended++] = slot;
}

static void
free_session(struct policy *p, struct session *s)
{
	session_log_end(s, p->loop.now, p->n_sessions);
	s->used = false;
	s->next_free = p->free_session;
	p->free_session = (uint32_t)(s - p->sessions);
	p->n_sessions--;
	note_ended(p, s->client.peer.slot);
	if (p->retired && p->n_sessions == 0)
		p->loop.stop = true;
}

static void
conclude_end(struct policy *p, struct session *s)
{
	starttls_end(s);
	checks_end(s);
	loop_cancel(&p->loop, &s->tarpit);
	login_end(p, s);
	if (s->stage == STAGE_COMMITTING)
		return; /* queue may keep it; whether it did is to be logged */
	transaction_abort(p, s);
	free_session(p, s);
}

static struct session *
take_session(struct policy *p)
{
	struct session *s;

	if (p->free_session != NO_SESSION) {
		s = &p->sessions[p->free_session];
		p->free_session = s->next_free;
	} else if (p->n_used < p->settings.max_sessions) /* memory that no session has used yet costs nothing */
		s = &p->sessions[p->n_used++];
	else
		return NULL;
	p->n_sessions++;
	s->used = true;
	s->port = (struct port){ .channel = { .fd = -1 } };
	s->connection = -1;
	s->ending = s->lost = false;
	s->stage = STAGE_ARRIVED;
	s->envelope.helo = s->envelope.reverse = s->envelope.envid = BYTES_NONE; /* another's */
	s->n_accepted = 0;
	s->refusals = (struct refusals){ .n = 0 };
	s->helo_len = 0;
	s->began_ms = p->loop.now;
	s->pending = 0;
	s->n_asked = s->n_bad = 0;
	s->login.state = LOGIN_NONE;
	s->login.ref = 0;
	return s;
}

static void
greet(struct policy *p, struct session *s, enum result met)
{
	struct why why = WHY_NONE;
	enum result r;

	starttls_meet(p, s);
	login_meet(p, s);
	if (s->tls.wish == TLS_OFF && !p->settings.is_pop3)
		fd_close(&s->connection); /* the front end alone has it, until the end */
	if (met != OK)
		session_log_denied(s, met);
	r = session_welcome(p, s, met, &why);
	if (r != OK && r != ABSENT)
		log_why("session", r, &why);
	if (r != OK)
		session_end(p, s);
	else if (met == OK) {
		s->stage = STAGE_IDLE;
		checks_go_on(p, s);
	}
}

/* The peer's name is known, or will not be. A rule may be for the name. */
static void
go_on_to_greet(struct policy *p, struct session *s)
{
	struct lp_peer peer = s->client.peer;
	enum result met = client_meet(
	    &s->client, &p->settings, &peer, s->host_known == HOST_FOUND ? bytes_of(s->host, s->host_len) : BYTES_NONE);

	s->client.host_known = s->host_known;
	greet(p, s, met);
}

static void
conclude(struct policy *p, struct session *s)
{
	if (s->ending)
		conclude_end(p, s);
	else if (s->stage == STAGE_ARRIVED) {
		if (!checks_wait(s, CHECK_AT_CONNECTION))
			go_on_to_greet(p, s);
	} else {
		checks_go_on(p, s);
		if (s->stage == STAGE_CHECKING)
			rcpt_go_on(p, s);
		else if (s->stage == STAGE_INSPECTING)
			message_go_on(p, s);
	}
}

void
requests_conclude(struct policy *p)
{
	while (p->marked != NULL) {
		struct session *s = p->marked;

		p->marked = s->next_marked;
		s->marked = false;
		if (s->used)
			conclude(p, s);
	}
}

enum result
requests_from_listen(struct port *port, struct wire_message *m, struct why *why)
{
	struct policy *p = policy_of_loop(port->loop);
	const struct lp_peer *peer = m->body;
	struct channel c = channel_of(m->fds[0], &smtpd_policy_protocol, SP_POLICY, false);
	struct session *s;
	enum result met, r;

	if (!id_is_valid(bytes_of(peer->conn, ID_LEN)) || peer->conn[ID_LEN] != '\0' ||
	    (peer->family != LP_IPV4 && peer->family != LP_IPV6 && peer->family != LP_UNIX))
		return why_set(why, MALFORMED, "a peer that can't be from listen");
	if (!p->settings.is_pop3)
		transactions_look(p);
	s = take_session(p);
	if (s == NULL) {
		log_simple(SEVERITY_ERROR, "too-many-sessions", "conn", peer->conn);
		note_ended(p, peer->slot);
		return OK;
	}
	met = client_meet(&s->client, &p->settings, peer, BYTES_NONE);
	r = port_open(&s->port, &p->loop, c, &session_events, SESSION_LINE, why);
	if (r != OK) {
		log_why("session", r, why);
		session_end(p, s);
		return OK;
	}
	s->connection = m->fds[1];
	m->fds[0] = m->fds[1] = -1;
	s->port.in_turns = true;
	s->port.secret = port_is_open(&p->auth.port);
	starttls_meet(p, s); /* as far as is known; a name may change it */
	checks_begin(p, s, CHECK_AT_CONNECTION);
	if (!checks_wait(s, CHECK_AT_CONNECTION))
		greet(p, s, met);
	return OK;
}

enum result
requests_open(struct policy *p, struct why *why)
{
	uint32_t n = p->settings.max_sessions;

	p->sessions = calloc(n, sizeof *p->sessions);
	if (p->sessions == NULL)
		return why_set(why, EXHAUSTED, "no memory for %u sessions", n);
	p->free_session = NO_SESSION;
	p->n_used = 0;
	return OK;
}
