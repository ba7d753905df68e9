/* The loop of `policy`.
 * Trusts its wiring: descriptor by descriptor as warden made it.
 * Never ends because of a session or of queue; only when listen is gone and nothing is left to do. */
#include "policy/policy.h"

#include "policy/requests.h"
#include "policy/transaction.h"
#include "policy/privileges.h"
#include "sys/clock.h"
#include "sys/log.h"

#define TELL_TOGETHER 8
#define TELL_MS 5
#define LISTEN_LINE 65536 /* sessions that may have ended without listen having looked */

static void
listen_ended(struct port *port, enum result r, struct why *why)
{
	struct policy *p = policy_of_loop(port->loop);

	if (r != ABSENT)
		log_why("listen-gone", r, why);
	p->retired = true;
	if (p->n_sessions == 0)
		p->loop.stop = true;
}

static const struct port_events listen_events = { requests_from_listen, listen_ended };

/* Waking listen for each session that ended would cost as much as a question of one; so it is told of some together,
 * at once only if it may be waiting for room. */
static void
between_turns(struct loop *loop)
{
	struct policy *p = policy_of_loop(loop);

	requests_conclude(p);
	log_flush();
	if (p->n_ended == 0)
		return;
	if (p->n_ended >= TELL_TOGETHER || p->n_sessions + p->n_ended >= p->settings.max_sessions ||
	    (p->tell.slot == 0 && loop_at(loop, &p->tell, clock_ms() + TELL_MS) != OK))
		requests_tell_ended(p);
}

static void
tell(struct loop *loop, struct timer *t)
{
	(void)t;
	requests_tell_ended(policy_of_loop(loop));
}

enum result
policy_run(struct policy *p, const struct settings *s, struct why *why)
{
	struct channel listen = channel_of(POLICY_LISTEN_FD, &listen_policy_protocol, LP_POLICY, false);
	enum result r;

	p->settings = *s;
	names_open(p); /* before anything else could take the number of a doorway that is not there */
	dnslists_open(p);
	transactions_begin(p);
	p->tell.due = tell;
	p->end = OK;
	if ((r = requests_open(p, why)) != OK || (r = loop_open(&p->loop, why)) != OK ||
	    (r = port_open(&p->listen, &p->loop, listen, &listen_events, LISTEN_LINE, why)) != OK ||
	    (r = starttls_open(p, why)) != OK || (r = login_open(p, why)) != OK || (r = programs_open(p, why)) != OK ||
	    (r = users_follow_in(&p->users, &p->loop, why)) != OK)
		return r;
	p->loop.idle = between_turns;
	log_gather();
	r = loop_run(&p->loop, why);
	log_flush();
	if (r != OK)
		return r;
	return p->end == OK ? OK : why_set(why, p->end, "the door of queue is gone");
}
