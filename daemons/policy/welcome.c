/* The first word to a session: its limits and its greeting, or that it is not wanted.
 * Trusts what was found out about the client.
 * Never tells a front end more than it needs. */
#include "policy/welcome.h"

#define CROWDED_IDLE_SECONDS 60
#define CROWDED_SESSION_SECONDS 1800

static uint32_t
tls_flags(const struct session_tls *t)
{
	return (t->wish != TLS_OFF ? (uint32_t)SP_STARTTLS : 0) |
	    (t->wish == TLS_REQUIRED ? (uint32_t)SP_TLS_REQUIRED : 0) | (t->at_once ? (uint32_t)SP_TLS_AT_ONCE : 0);
}

/* Printers and the like: what they mean can be told, and who they are is known. */
static uint32_t
leniency_flags(const struct settings *set, const struct client *c)
{
	bool lenient = set->is_submission || c->relays || c->is_lenient_network;

	return (lenient ? (uint32_t)SP_LENIENT : 0) |
	    (!lenient && c->helo_check.len == 1 ? (uint32_t)SP_HELO_REQUIRED : 0) |
	    (c->excused_bare_lf ? (uint32_t)SP_EXCUSE_BARE_LF : 0) |
	    (c->is_lenient_network ? (uint32_t)SP_EXCUSE_LINE_ENDS : 0);
}

static void
put_greeting(const struct settings *set, const struct session *s, struct buf *tail)
{
	uint8_t room[SP_TEXT_MAX];
	struct buf text = BUF_OVER(room);

	buf_add(&text, set->greeting);
	buf_add_string(&text, set->is_pop3 ? " POP3" : " ESMTP");
	if (s->login.timestamp[0] != '\0') {
		buf_add_octet(&text, ' ');
		buf_add_string(&text, s->login.timestamp);
	}
	wire_put(tail, buf_bytes(&text));
}

static void
put_refusal(const struct settings *set, enum result met, struct buf *tail)
{
	static const char denied[] = "5.7.1 sorry, connections from your address are not accepted";
	static const char trouble[] = "4.3.0 a table of this host can't be read, try again later";
	const char *text = met == REFUSED ? denied : trouble;

	wire_put_string(tail, set->is_pop3 ? text + 6 : text); /* POP3 has no enhanced codes */
}

static uint32_t
at_most(uint32_t seconds, uint32_t most)
{
	return seconds < most ? seconds : most;
}

/* Who holds connections and says next to nothing holds them a shorter while where they are short. */
static void
limit_in_a_crowd(const struct policy *p, const struct session *s, struct sp_welcome *w)
{
	if (s->client.is_local_program || p->n_sessions * UINT64_C(4) < p->settings.max_sessions * UINT64_C(3))
		return;
	w->idle_seconds = at_most(w->idle_seconds, CROWDED_IDLE_SECONDS);
	w->session_seconds = at_most(w->session_seconds, CROWDED_SESSION_SECONDS);
}

enum result
session_welcome(const struct policy *p, struct session *s, enum result met, struct why *why)
{
	const struct settings *set = &p->settings;
	struct sp_welcome w = { .max_octets = s->client.max_octets,
		.room = p->queue.room,
		.max_recipients = s->client.max_recipients,
		.idle_seconds = set->idle_seconds,
		.session_seconds = set->is_pop3 ? set->login_seconds : set->session_seconds,
		.max_errors = set->max_errors,
		.max_hops = set->max_hops,
		.greet_seconds = met == OK && !set->is_pop3 ? s->client.greet_seconds : 0,
		.code = met == OK    ? 220
		    : met == REFUSED ? 554
				     : 421,
		.mechanisms = login_offers(p, s, false),
		.secure_mechanisms = login_offers(p, s, true) };
	uint8_t room[1024];
	struct buf tail = BUF_OVER(room);

	w.flags = leniency_flags(set, &s->client) | (s->client.is_local_program ? (uint32_t)SP_LOCAL_PROGRAM : 0) |
	    tls_flags(&s->tls) | (login_is_required(p, s) ? (uint32_t)SP_AUTH_REQUIRED : 0) |
	    (set->is_submission ? (uint32_t)SP_SUBMISSION : 0) | (met == OK ? 0 : (uint32_t)SP_REFUSED);
	limit_in_a_crowd(p, s, &w);
	wire_put(&tail, set->me);
	if (met == OK)
		put_greeting(set, s, &tail);
	else
		put_refusal(set, met, &tail);
	return port_send(&s->port, SP_WELCOME, 0, &w, buf_bytes(&tail), NULL, why);
}
