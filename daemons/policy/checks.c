/* A recipient from the request to the answer.
 * Trusts resolve for what DNS says; nothing that a front end says beyond its form, which is checked here.
 * Never waits itself: a session that is held back costs a timer, one that asks costs its question. */
#include "policy/checks.h"

#include "control/patterns.h"
#include "policy/decide.h"
#include "policy/policy.h"
#include "policy/spf.h"

#include "net/domain.h"
#include "sys/clock.h"
#include "sys/log.h"

#include <string.h>

/* ---- the form of a request ---- */

static bool
is_clean(struct bytes field, size_t max)
{
	if (field.len > max)
		return false;
	for (size_t i = 0; i < field.len; i++)
		if (field.at[i] < 0x20 || field.at[i] == 0x7f)
			return false;
	return true;
}

static bool
rcpt_is_sound(const struct sp_rcpt *rcpt, const struct bytes fields[2])
{
	return is_clean(fields[0], SP_PATH_MAX) && is_clean(fields[1], SP_ORCPT_MAX) && notify_is_valid(rcpt->notify);
}

/* ---- the decision ---- */

static struct bytes
pending_path(const struct session *s)
{
	return bytes_of(s->pending.path, s->pending.path_len);
}

static void
answer(struct policy *p, struct session *s, const struct reply *r)
{
	if (r->answer.code >= 500 || r->answer.code == 450) /* a trouble of ours is not the client's guess */
		s->n_bad++;
	s->stage = r->answer.code == 250 || !s->pending.first ? STAGE_ENVELOPE : STAGE_IDLE;
	session_decide(p, s, r, pending_path(s));
}

static void
judge(struct policy *p, struct session *s)
{
	struct sp_rcpt rcpt = { .notify = s->pending.notify };
	struct bytes fields[2] = { pending_path(s), bytes_of(s->pending.orcpt, s->pending.orcpt_len) };
	struct reply r;

	dnslists_settle(p, s);
	r = decide_rcpt(&s->client, &rcpt, fields, &s->envelope);
	if (s->trial.state == TRIAL_WANTED) {
		if (programs_ask(p, s))
			return;                 /* checks_program_said() goes on */
		s->trial.state = TRIAL_TROUBLE; /* and that is what was decided */
	}
	answer(p, s, &r);
}

void
checks_program_said(struct policy *p, struct session *s, enum trial_state said)
{
	s->trial.state = said;
	judge(p, s);
}

/* ---- what DNS is asked ---- */

static bool
sender_is_exempt(const struct session *s)
{
	struct peer_name peer = { s->client.host, s->client.relays };
	struct verdict v;

	return pattern_check_sender(s->client.settings->control, s->envelope.reverse, &peer, &v) == OK &&
	    v.says == VERDICT_EXEMPT;
}

static bool
helo_is_exempt(const struct session *s)
{
	struct verdict v;

	return pattern_check_helo(s->client.settings->control, s->envelope.helo, &v) == OK && v.says == VERDICT_EXEMPT;
}

static struct bytes
sender_domain(const struct session *s)
{
	return bytes_skip(s->envelope.reverse, bytes_find_last(s->envelope.reverse, '@') + 1);
}

static void
add_finding(enum finding *all, enum finding one)
{
	if (one > *all)
		*all = one;
}

/* MFDNSCHECK. A null sender has no domain; a literal is no name. */
static void
ask_sender(struct policy *p, struct session *s)
{
	struct bytes domain = sender_domain(s);

	if (!variable_is_set(&s->client.says, VAR_MFDNSCHECK) || s->envelope.reverse.len == 0 ||
	    domain_is_literal(domain) || sender_is_exempt(s))
		return;
	if (!names_ask(p, s, ASK_SENDER_MX, RS_MX, domain))
		s->client.found.sender = FINDING_FAILED;
}

/* HELOCHECK="A" and "M". */
static void
ask_helo(struct policy *p, struct session *s)
{
	struct bytes how = s->client.helo_check, name = s->envelope.helo;
	bool asked;

	if ((!bytes_equal(how, BYTES("A")) && !bytes_equal(how, BYTES("M"))) || name.len == 0 ||
	    domain_is_literal(name) || helo_is_exempt(s))
		return;
	if (!domain_is_valid(name, false)) {
		s->client.found.helo = FINDING_BAD;
		return;
	}
	if (how.at[0] == 'M')
		asked = names_ask(p, s, ASK_HELO_MX, RS_MX, name);
	else {
		asked = names_ask(p, s, ASK_HELO_A, RS_A, name);
		asked = names_ask(p, s, ASK_HELO_AAAA, RS_AAAA, name) && asked;
	}
	if (!asked)
		s->client.found.helo = FINDING_FAILED;
}

static void
look_into(struct policy *p, struct session *s)
{
	if (s->pending.first) {
		s->client.found = (struct findings){ FINDING_NONE, FINDING_NONE };
		s->client.spf = (struct sender_policy){ .checked = false };
		if (!s->client.relays) {
			ask_sender(p, s);
			ask_helo(p, s);
			spf_begin(p, s);
		}
	}
	if (s->awaited == 0 || s->client.relays)
		judge(p, s);
}

/* ---- what it answers ---- */

static enum finding
finding_of(const struct rs_answer *a)
{
	switch (a->outcome) {
	case RS_FOUND:
		return FINDING_GOOD;
	case RS_NO_DATA:
	case RS_NO_NAME:
	case RS_BAD_QUESTION:
		return FINDING_BAD;
	default:
		return FINDING_FAILED;
	}
}

/* RFC 7505 3: one record, preference 0, the root. */
static bool
is_null_mx(const struct rs_answer *a, struct bytes tail)
{
	struct bytes record;

	return a->outcome == RS_FOUND && a->n == 1 && wire_take(&tail, &record) && wire_take(&tail, &record) &&
	    record.len == 2;
}

/* Without MX records a domain's own addresses count (RFC 5321 5.1). */
static void
sender_mx_came(struct policy *p, struct session *s, const struct rs_answer *a, struct bytes tail)
{
	struct bytes domain = sender_domain(s);
	bool asked;

	if (a->outcome != RS_NO_DATA) {
		add_finding(&s->client.found.sender, is_null_mx(a, tail) ? FINDING_NULL_MX : finding_of(a));
		return;
	}
	asked = names_ask(p, s, ASK_SENDER_A, RS_A, domain);
	asked = names_ask(p, s, ASK_SENDER_AAAA, RS_AAAA, domain) && asked;
	if (!asked)
		s->client.found.sender = FINDING_FAILED;
}

void
checks_answered(struct policy *p, struct session *s, enum question q, const struct rs_answer *a, struct bytes tail)
{
	if (q >= ASK_SPF)
		spf_answered(p, s, q - ASK_SPF, a, tail);
	else if (q >= ASK_LIST_A)
		dnslists_answered(p, s, q, a, tail);
	else if (q == ASK_SENDER_MX)
		sender_mx_came(p, s, a, tail);
	else if (q == ASK_SENDER_A || q == ASK_SENDER_AAAA)
		add_finding(&s->client.found.sender, finding_of(a));
	else if (q == ASK_HELO_MX && is_null_mx(a, tail))
		s->client.found.helo = FINDING_BAD;
	else
		add_finding(&s->client.found.helo, finding_of(a));
	if (s->awaited == 0 && s->stage == STAGE_CHECKING && s->tarpit.slot == 0)
		judge(p, s);
}

/* ---- the tarpit ---- */

static void
released(struct loop *loop, struct timer *t)
{
	look_into(policy_of_loop(loop), container_of(t, struct session, tarpit));
}

/* True if the recipient has to wait. */
static bool
hold_back(struct policy *p, struct session *s)
{
	const struct client *c = &s->client;
	struct log_line l;

	if (c->relays || c->tarpit_count == 0 || s->n_asked < c->tarpit_count || c->tarpit_seconds == 0 ||
	    c->tarpit_seconds == TARPIT_NOTORIOUS)
		return false;
	if (s->n_asked == c->tarpit_count) {
		log_begin(&l, SEVERITY_INFO, "tarpit");
		session_log(&l, s);
		log_number(&l, "seconds", c->tarpit_seconds);
		log_end(&l);
	}
	s->tarpit.due = released;
	return loop_at(&p->loop, &s->tarpit, clock_ms() + UINT64_C(1000) * c->tarpit_seconds) == OK;
}

static bool
may_reach_another(struct policy *p, const struct session *s)
{
	return s->client.user.len == 0 ||
	    usage_take(&p->usage, s->client.user, 0, 1, 0, p->settings.user_recipients, p->loop.now);
}

static void
begin(struct policy *p, struct session *s, const struct sp_rcpt *rcpt, const struct bytes fields[2], bool first)
{
	const struct client *c = &s->client;

	s->pending.first = first;
	s->pending.notify = rcpt->notify;
	s->pending.path_len = (uint16_t)fields[0].len;
	s->pending.orcpt_len = (uint16_t)fields[1].len;
	if (fields[0].len > 0)
		memcpy(s->pending.path, fields[0].at, fields[0].len);
	if (fields[1].len > 0)
		memcpy(s->pending.orcpt, fields[1].at, fields[1].len);
	s->trial.state = TRIAL_NONE;
	s->trial.place = (struct recipients_place){ 0 };
	s->client.trial = &s->trial;
	s->stage = STAGE_CHECKING;
	s->n_asked++;
	if (!c->relays && c->tarpit_count > 0 && s->n_bad >= c->tarpit_count) {
		struct reply r = REFUSAL(
		    452, 4, 5, 3, "sorry, too many of your recipients were refused", "tarpit: too many refused");

		answer(p, s, &r);
	} else if (!may_reach_another(p, s)) {
		struct reply r = REFUSAL(450, 4, 7, 1, "sorry, you have sent to too many within the hour",
		    "too many of the user's recipients");

		answer(p, s, &r);
	} else if (!hold_back(p, s))
		look_into(p, s);
}

/* ---- requests ---- */

/* A front end taken over could leave out STARTTLS or AUTH, or name any sender. */
static void
check_client(const struct policy *p, const struct session *s, struct bytes reverse, struct reply *r)
{
	if (s->tls.wish == TLS_REQUIRED && s->tls.state != TLS_SECURE)
		*r = REFUSAL(530, 5, 7, 0, "must issue a STARTTLS command first", "no tls");
	else if (login_is_required(p, s))
		*r = REFUSAL(530, 5, 7, 0, "authentication required", "not authenticated");
	else if (s->client.tls != NULL && s->client.relays && reverse.len > 0 &&
	    variable_is(&s->client.says, VAR_LOCALMFCHECK, "?") && !starttls_has_email(&s->tls, reverse))
		*r = REFUSAL(553, 5, 7, 1, "sorry, the sender is not one of your certificate's addresses",
		    "not the certificate's address");
}

enum result
checks_on_begin(struct policy *p, struct session *s, const struct wire_message *m, struct why *why)
{
	const struct sp_begin *body = m->body;
	const struct sp_mail *mail = &body->mail;
	struct bytes fields[5];
	struct reply r;

	if (!wire_take_all(m->tail, fields, 5) || !is_clean(fields[0], SP_HELO_MAX) ||
	    !is_clean(fields[1], SP_PATH_MAX) || !is_clean(fields[2], SP_ENVID_MAX) || mail->helo > SP_EHLO ||
	    mail->body > SP_BODY_8BITMIME || mail->ret > SP_RET_HDRS || !rcpt_is_sound(&body->rcpt, fields + 3))
		return why_set(why, MALFORMED, "SP_BEGIN with fields that can't be");
	session_heard_helo(s, fields[0]);
	r = decide_mail(&s->client, mail, fields, &s->envelope);
	if (r.answer.code == 250)
		check_client(p, s, fields[1], &r);
	if (r.answer.code == 250)
		begin(p, s, &body->rcpt, fields + 3, true);
	else
		session_decide(p, s, &r, fields[3]);
	return OK;
}

enum result
checks_on_rcpt(struct policy *p, struct session *s, const struct wire_message *m, struct why *why)
{
	struct bytes fields[2];

	if (!wire_take_all(m->tail, fields, 2) || !rcpt_is_sound(m->body, fields))
		return why_set(why, MALFORMED, "SP_RCPT with fields that can't be");
	begin(p, s, m->body, fields, false);
	return OK;
}

void
checks_end(struct policy *p, struct session *s)
{
	loop_cancel(&p->loop, &s->tarpit);
	programs_forget(s);
	spf_end(s);
	names_forget(s);
}
