/* The check of the mailbox: is it there, by users, tables and the programs of the item recipients.
 * Trusts authrun for its answer to what was asked.
 * Never names what is executed but by its number in recipients; never keeps a session waiting once authrun is gone. */
#include "policy/programs.h"

#include "policy/checks.h"
#include "policy/privileges.h"
#include "policy/session.h"

#include "control/recipients.h"
#include "control/users.h"
#include "sys/log.h"

#include <string.h>
#include <sys/socket.h>

#define LINE_WAITING 4096

/* ---- authrun ---- */

static const enum trial_state states[] = {
	[PR_TAKEN] = TRIAL_TAKEN, [PR_NOT_TAKEN] = TRIAL_NOT_TAKEN, [PR_TROUBLE] = TRIAL_TROUBLE
};

static void
said(struct calls *c, struct caller *who, unsigned what, enum call_end how, struct wire_message *m)
{
	struct session *s = container_of(who, struct session, asking[CHECK_mailbox]);

	(void)what;
	s->trial.state = how == CALL_ANSWERED ? states[((const struct pr_answer *)m->body)->outcome] : TRIAL_TROUBLE;
	session_found(policy_of_loop(c->loop), s);
}

static enum result
answered(struct port *port, struct wire_message *m, struct why *why)
{
	struct policy *p = policy_of_loop(port->loop);

	if (m->type != PR_ANSWER || ((const struct pr_answer *)m->body)->outcome >= nitems(states) ||
	    !calls_answered(&p->programs.asked, m->ref, m))
		return why_set(why, MALFORMED, "authrun answered what was not asked");
	return OK;
}

static void
ended(struct port *port, enum result r, struct why *why)
{
	log_why("authrun-gone", r, why);
	calls_broken(&policy_of_loop(port->loop)->programs.asked);
}

enum result
programs_open(struct policy *p, struct why *why)
{
	static const struct port_events events = { answered, ended };
	struct channel c = channel_of(POLICY_AUTHRUN_FD, &policy_authrun_protocol, PR_POLICY, false);
	int type = 0;
	socklen_t len = sizeof type;

	p->programs.port.channel.fd = -1;
	p->programs.asked = calls_of(&p->loop, 2 * (size_t)p->settings.max_sessions);
	if (getsockopt(POLICY_AUTHRUN_FD, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || type != SOCK_SEQPACKET)
		return OK; /* no item names a program */
	return port_open(&p->programs.port, &p->loop, c, &events, LINE_WAITING, why);
}

/* Asks what s->trial wants to know. */
static void
begin(struct policy *p, struct session *s)
{
	struct pr_ask ask = { .program = s->trial.place.program };
	struct why why = WHY_NONE;
	uint64_t ref = calls_ask(&p->programs.asked, &s->asking[CHECK_mailbox], 0, said, 0);

	if (ref != 0 && port_is_open(&p->programs.port) &&
	    port_send(&p->programs.port, PR_ASK, ref, &ask, bytes_of(s->trial.address, s->trial.address_len), NULL,
		&why) == OK)
		return;
	calls_withdraw(&p->programs.asked, ref);
	s->trial.state = TRIAL_TROUBLE;
}

/* ---- the judge ---- */

/* Whether the item recipients counts for this client: not for who may relay, unless the rule says so; RECIPIENTS="-" for
 * nobody. Postmaster is always taken (RFC 5321 4.5.1). */
static bool
is_subject_to_recipients(const struct asked *a)
{
	if (a->bare ||
	    bytes_equal_nocase(bytes_first(a->address, bytes_find_last(a->address, '@')), BYTES("postmaster")))
		return false;
	if (variable_is_set(&a->c->says, VAR_RECIPIENTS))
		return !variable_is(&a->c->says, VAR_RECIPIENTS, "-");
	return !a->c->relays;
}

/* What recipients says. AGAIN: a program has to be asked first, or was asked and can't say. */
static enum result
find_recipient(const struct asked *a)
{
	struct recipients_place anew = { 0 };
	struct trial *trial = a->c->trial;
	enum result r;

	if (trial == NULL || a->address.len > sizeof trial->address)
		return recipients_find(a->c->settings->control, a->address, &anew);
	if (trial->state == TRIAL_TAKEN)
		return OK;
	if (trial->state == TRIAL_TROUBLE)
		return AGAIN;
	r = recipients_find(a->c->settings->control, a->address, &trial->place);
	if (r == AGAIN) {
		trial->state = TRIAL_WANTED;
		trial->address_len = (uint16_t)a->address.len;
		memcpy(trial->address, a->address.at, a->address.len);
	}
	return r;
}

static bool
check_mailbox(const struct asked *a)
{
	const struct control *control = a->c->settings->control;
	struct destination d;
	enum result r = users_route_now(control, a->address, &d);

	if (r == OK && is_subject_to_recipients(a))
		r = find_recipient(a);
	if (r == OK)
		return false;
	if (r == AGAIN) {
		(void)judge_settle(a, REFUSAL(421, 4, 3, 0, "unable to check recipients", "program for recipients"));
		a->r->answer.close = 1;
		return true;
	}
	if (r == REFUSED) /* somebody as whom lspawn starts nothing: the administrator can mend that */
		return judge_settle(a,
		    REFUSAL(451, 4, 2, 1, "sorry, that mailbox can't be used now, try again later",
			user_refusal_text(d.user.refusal)));
	if (r != ABSENT)
		return judge_unreadable(a);
	if (variable_is_set(&a->c->says, VAR_RECIPIENTS450))
		return judge_settle_with_words(
		    a, REFUSAL(450, 4, 2, 1, "sorry, no mailbox here by that name", "no mailbox"), VAR_REPLY_MAILBOX);
	return judge_settle_with_words(
	    a, REFUSAL(550, 5, 1, 1, "sorry, no mailbox here by that name", "no mailbox"), VAR_REPLY_MAILBOX);
}

const struct check_work mailbox_work = {
	.begin = begin, .judge = check_mailbox, .for_relays = true, .on_demand = true
};
