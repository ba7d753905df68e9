/* The line to authrun: which session asked about which recipient.
 * Trusts authrun for its answer to what was asked.
 * Never names what is executed but by its number in recipients; never keeps a session waiting once authrun is gone. */
#include "policy/programs.h"

#include "policy/checks.h"
#include "policy/policy.h"
#include "policy/privileges.h"
#include "sys/log.h"

#include <sys/socket.h>

#define LINE_WAITING 4096

static uint32_t
ref_of(const struct policy *p, const struct session *s)
{
	return (uint32_t)s->program_turn << SLOT_BITS | (uint32_t)(s - p->sessions);
}

static void
settle(struct policy *p, struct session *s, enum trial_state said)
{
	programs_forget(s);
	checks_program_said(p, s, said);
}

static enum result
answered(struct port *port, struct wire_message *m, struct why *why)
{
	static const enum trial_state states[] = {
		[PR_TAKEN] = TRIAL_TAKEN, [PR_NOT_TAKEN] = TRIAL_NOT_TAKEN, [PR_TROUBLE] = TRIAL_TROUBLE
	};
	struct policy *p = policy_of_loop(port->loop);
	const struct pr_answer *a = m->body;
	struct session *s;

	if (m->type != PR_ANSWER || (m->ref & SLOT_MASK) >= p->n_used || a->outcome >= nitems(states))
		return why_set(why, MALFORMED, "authrun answered what was not asked");
	s = &p->sessions[m->ref & SLOT_MASK];
	if (s->used && s->program_asked && ref_of(p, s) == m->ref)
		settle(p, s, states[a->outcome]); /* else its session has ended */
	return OK;
}

static void
ended(struct port *port, enum result r, struct why *why)
{
	struct policy *p = policy_of_loop(port->loop);

	log_why("authrun-gone", r, why);
	for (uint32_t i = 0; i < p->n_used; i++)
		if (p->sessions[i].used && p->sessions[i].program_asked)
			settle(p, &p->sessions[i], TRIAL_TROUBLE);
}

enum result
programs_open(struct policy *p, struct why *why)
{
	static const struct port_events events = { answered, ended };
	struct channel c = channel_of(POLICY_AUTHRUN_FD, &policy_authrun_protocol, PR_POLICY, false);
	int type = 0;
	socklen_t len = sizeof type;

	p->programs.port.channel.fd = -1;
	if (getsockopt(POLICY_AUTHRUN_FD, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || type != SOCK_SEQPACKET)
		return OK; /* no item names a program */
	return port_open(&p->programs.port, &p->loop, c, &events, LINE_WAITING, why);
}

bool
programs_ask(struct policy *p, struct session *s)
{
	struct pr_ask ask = { .program = s->trial.place.program };
	struct why why = WHY_NONE;

	if (!port_is_open(&p->programs.port) ||
	    port_send(&p->programs.port, PR_ASK, ref_of(p, s), &ask, bytes_of(s->trial.address, s->trial.address_len),
		NULL, &why) != OK)
		return false;
	s->program_asked = true;
	return true;
}

void
programs_forget(struct session *s)
{
	s->program_asked = false;
	s->program_turn++;
}
