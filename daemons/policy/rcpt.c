/* A recipient from the request to the answer.
 * Trusts the findings of the checks; nothing that a front end says beyond its form, which is checked here.
 * Never waits itself: a session that is held back costs a timer, one that asks costs its question. */
#include "policy/rcpt.h"

#include "policy/checks.h"
#include "policy/decide.h"
#include "policy/session.h"

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
	return bytes_of(s->pending_rcpt.path, s->pending_rcpt.path_len);
}

static void
answer(struct policy *p, struct session *s, const struct reply *r)
{
	if (r->answer.code >= 500 || r->answer.code == 450) /* a trouble of ours is not the client's guess */
		s->n_bad++;
	s->stage = r->answer.code == 250 || !s->pending_rcpt.first ? STAGE_ENVELOPE : STAGE_IDLE;
	session_decide(p, s, r, pending_path(s));
}

void
rcpt_go_on(struct policy *p, struct session *s)
{
	struct sp_rcpt rcpt = { .notify = s->pending_rcpt.notify };
	struct bytes fields[2] = { pending_path(s), bytes_of(s->pending_rcpt.orcpt, s->pending_rcpt.orcpt_len) };
	struct reply r;

	for (;;) {
		if (s->tarpit.slot != 0 || checks_wait(s, CHECK_AT_RCPT))
			return;
		checks_settle(p, s);
		r = decide_rcpt(&s->client, &rcpt, fields, &s->envelope);
		if (s->trial.state != TRIAL_WANTED)
			break;
		checks_begin_one(p, s, CHECK_mailbox);
	}
	answer(p, s, &r);
}

static void
look_into(struct policy *p, struct session *s)
{
	if (s->pending_rcpt.first) {
		s->client.found = (struct findings){ { FINDING_NONE } };
		s->client.spf = (struct sender_policy){ .checked = false };
		checks_begin(p, s, CHECK_AT_HELO);
		checks_begin(p, s, CHECK_AT_MAIL);
	}
	checks_begin(p, s, CHECK_AT_RCPT);
	rcpt_go_on(p, s);
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

	s->pending_rcpt.first = first;
	s->pending_rcpt.notify = rcpt->notify;
	s->pending_rcpt.path_len = (uint16_t)fields[0].len;
	s->pending_rcpt.orcpt_len = (uint16_t)fields[1].len;
	if (fields[0].len > 0)
		memcpy(s->pending_rcpt.path, fields[0].at, fields[0].len);
	if (fields[1].len > 0)
		memcpy(s->pending_rcpt.orcpt, fields[1].at, fields[1].len);
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
rcpt_on_begin(struct policy *p, struct session *s, const struct wire_message *m, struct why *why)
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
rcpt_on_another(struct policy *p, struct session *s, const struct wire_message *m, struct why *why)
{
	struct bytes fields[2];

	if (!wire_take_all(m->tail, fields, 2) || !rcpt_is_sound(m->body, fields))
		return why_set(why, MALFORMED, "SP_RCPT with fields that can't be");
	begin(p, s, m->body, fields, false);
	return OK;
}
