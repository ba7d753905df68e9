/* The lines that sessions leave in the log.
 * Trusts listen for who is connected. What a front end tells of its own refusals is marked as its word, and counted apart.
 * Never lets one session write refusals without end: beyond a bound they are only counted. */
#include "policy/session.h"

#include <stdio.h>
#include <string.h>

#define REFUSALS_LOGGED 100 /* of one session, decided here; all are counted */
#define TOLD_AT_ONCE_MAX 1000000

void
session_log(struct log_line *l, const struct session *s)
{
	log_text(l, "conn", s->client.peer.conn);
	log_text(l, "peer", s->client.name);
}

static void
add_refused(struct session *s, uint32_t n)
{
	if (__builtin_add_overflow(s->refusals.n, n, &s->refusals.n))
		s->refusals.n = UINT32_MAX;
}

/* What the line of the session says in the end. */
static void
remember(struct session *s, unsigned code, struct bytes why)
{
	struct bytes kept = bytes_first(why, sizeof s->refusals.why);

	s->refusals.code = (uint16_t)code;
	s->refusals.why_len = (uint8_t)kept.len;
	if (kept.len > 0)
		memcpy(s->refusals.why, kept.at, kept.len);
}

void
session_heard_helo(struct session *s, struct bytes name)
{
	struct bytes kept = bytes_first(name, sizeof s->helo);

	s->helo_len = (uint8_t)kept.len;
	if (kept.len > 0)
		memcpy(s->helo, kept.at, kept.len);
}

/* ---- refusals ---- */

static bool
may_log_another(struct session *s)
{
	if (s->refusals.n_logged == REFUSALS_LOGGED)
		return false;
	s->refusals.n_logged++;
	return true;
}

void
session_log_refusal(struct session *s, const struct reply *r, struct bytes recipient)
{
	char form[2] = { r->form, '\0' };
	struct log_line l;

	add_refused(s, 1);
	remember(s, r->answer.code, bytes_of_string(r->reason));
	if (!may_log_another(s))
		return;
	log_begin(&l, SEVERITY_INFO, "refuse");
	session_log(&l, s);
	log_number(&l, "code", r->answer.code);
	log_text(&l, "why", r->reason);
	if (r->form > ' ')
		log_text(&l, "form", form);
	log_bytes(&l, "helo", s->envelope.helo);
	log_bytes(&l, "from", s->envelope.reverse);
	if (recipient.at != NULL)
		log_bytes(&l, "to", recipient);
	log_end(&l);
}

void
session_log_denied(struct session *s, enum result met)
{
	const char *why = met == REFUSED ? "denied by the rules" : "rules not readable";
	struct log_line l;

	add_refused(s, 1);
	remember(s, 0, bytes_of_string(why));
	log_begin(&l, met == REFUSED ? SEVERITY_INFO : SEVERITY_ERROR, "refuse-connection");
	session_log(&l, s);
	log_text(&l, "why", why);
	log_end(&l);
}

enum told_field { TOLD_HELO, TOLD_REVERSE, TOLD_WHY, TOLD_SAID, N_TOLD_FIELDS };

/* While policy has an envelope it has the sender, and perhaps the recipient, of itself. */
static void
log_told(const struct session *s, const struct sp_tell *tell, const struct bytes fields[N_TOLD_FIELDS])
{
	bool begun = s->stage != STAGE_IDLE;
	struct bytes only = begun ? envelope_only_recipient(&s->envelope) : BYTES_NONE;
	struct log_line l;

	log_begin(&l, SEVERITY_INFO, "refuse");
	session_log(&l, s);
	if (tell->code > 0)
		log_number(&l, "code", tell->code);
	log_bytes(&l, "why", fields[TOLD_WHY]);
	log_text(&l, "by", s->client.settings->is_pop3 ? "pop3d" : "smtpd");
	if (tell->n > 1)
		log_number(&l, "times", tell->n);
	log_bytes(&l, "helo", fields[TOLD_HELO]);
	log_bytes(&l, "from", begun ? s->envelope.reverse : fields[TOLD_REVERSE]);
	if (only.at != NULL)
		log_bytes(&l, "to", only);
	if (fields[TOLD_SAID].len > 0)
		log_bytes(&l, "said", fields[TOLD_SAID]);
	log_end(&l);
}

enum result
session_told(struct session *s, const struct wire_message *m, struct why *why)
{
	const struct sp_tell *tell = m->body;
	struct bytes fields[N_TOLD_FIELDS];

	if (++s->refusals.n_told > SP_TELL_MAX)
		return why_set(why, MALFORMED, "more than %u SP_TELL", SP_TELL_MAX);
	if (!wire_take_all(m->tail, fields, N_TOLD_FIELDS) || fields[TOLD_HELO].len > SP_HELO_MAX ||
	    fields[TOLD_REVERSE].len > SP_PATH_MAX || fields[TOLD_WHY].len > SP_TELL_TEXT_MAX ||
	    fields[TOLD_SAID].len > SP_TELL_SAID_MAX || tell->n > TOLD_AT_ONCE_MAX ||
	    (tell->code != 0 && (tell->code < 400 || tell->code > 599)))
		return why_set(why, MALFORMED, "SP_TELL with fields that can't be");
	session_heard_helo(s, fields[TOLD_HELO]);
	if (tell->n == 0)
		return OK;
	add_refused(s, tell->n);
	remember(s, tell->code, fields[TOLD_WHY]);
	log_told(s, tell, fields);
	return OK;
}

/* ---- messages and ends ---- */

void
session_log_accept(const struct session *s, const char *id)
{
	struct bytes only = envelope_only_recipient(&s->envelope);
	struct log_line l;

	log_begin(&l, SEVERITY_INFO, "accept");
	log_text(&l, "msg", id);
	session_log(&l, s);
	log_bytes(&l, "helo", s->envelope.helo);
	log_bytes(&l, "from", s->envelope.reverse);
	if (only.at != NULL)
		log_bytes(&l, "to", only);
	log_number(&l, "recipients", s->envelope.n_recipients);
	log_number(&l, "octets", s->envelope.octets);
	if (s->client.user.len > 0)
		log_bytes(&l, "user", s->client.user);
	if (s->client.is_local_program)
		log_number(&l, "uid", s->client.peer.uid);
	if (s->client.tls != NULL) {
		log_text(&l, "tls", s->tls.protocol);
		if (s->tls.peer == TF_PEER_VERIFIED)
			log_text(&l, "certificate", s->tls.common_name);
	}
	if (s->ending)
		log_text(&l, "answer", "lost");
	log_end(&l);
}

/* What the handshake gave; nothing in plain text. */
static void
log_tls(const struct session *s, struct log_line *l)
{
	static const char *const peers[] = {
		[TF_PEER_NONE] = NULL, [TF_PEER_UNVERIFIED] = "unverified", [TF_PEER_VERIFIED] = "verified"
	};
	const struct session_tls *t = s->client.tls;

	if (t == NULL)
		return;
	log_text(l, "tls", t->protocol);
	log_text(l, "cipher", t->cipher);
	log_text(l, "group", t->group);
	if (t->server_name[0] != '\0')
		log_text(l, "sni", t->server_name);
	log_text(l, "certificate", (size_t)t->peer < nitems(peers) ? peers[t->peer] : NULL);
	if (t->peer == TF_PEER_VERIFIED)
		log_text(l, "name", t->common_name);
}

void
session_log_end(const struct session *s, uint64_t now_ms, uint32_t n_sessions)
{
	const struct refusals *r = &s->refusals;
	struct log_line l;

	log_begin(&l, SEVERITY_INFO, "session");
	session_log(&l, s);
	log_tls(s, &l);
	if (s->client.user.len > 0)
		log_bytes(&l, "user", s->client.user);
	if (s->helo_len > 0)
		log_bytes(&l, "helo", bytes_of(s->helo, s->helo_len));
	log_number(&l, "accepted", s->n_accepted);
	log_number(&l, "refused", r->n);
	if (r->code > 0)
		log_number(&l, "code", r->code);
	if (r->why_len > 0)
		log_bytes(&l, "why", bytes_of(r->why, r->why_len));
	log_number(&l, "ms", now_ms > s->began_ms ? now_ms - s->began_ms : 0);
	log_number(&l, "sessions", n_sessions);
	log_end(&l);
}
