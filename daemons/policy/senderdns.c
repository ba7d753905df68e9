/* The check that the sender's domain takes mail (MFDNSCHECK).
 * Trusts resolve for what DNS says; the domain is the client's.
 * Never asks about a sender that badmailfrom exempts, nor for those who may relay. */
#include "policy/checks.h"
#include "policy/session.h"

#include "control/patterns.h"
#include "net/domain.h"

static bool
sender_is_exempt(const struct session *s)
{
	struct peer_name peer = { s->client.host, s->client.relays };
	struct verdict v;

	return pattern_check_sender(s->client.settings->control, s->envelope.reverse, &peer, &v) == OK &&
	    v.says == VERDICT_EXEMPT;
}

static struct bytes
sender_domain(const struct session *s)
{
	return bytes_skip(s->envelope.reverse, bytes_find_last(s->envelope.reverse, '@') + 1);
}

static void
answered(struct calls *c, struct caller *who, unsigned type, enum call_end how, struct wire_message *m)
{
	struct session *s = container_of(who, struct session, asking[CHECK_senderdns]);
	struct policy *p = policy_of_loop(c->loop);
	enum finding *found = &s->client.found.of[CHECK_senderdns];
	struct bytes tail, domain = sender_domain(s);
	const struct rs_answer *a = names_answer(p, s, how, m, &tail);
	bool asked;

	if (type == RS_MX && a->outcome == RS_NO_DATA) { /* its own addresses count (RFC 5321 5.1) */
		asked = names_ask(p, who, RS_A, RS_A, domain, answered);
		asked = names_ask(p, who, RS_AAAA, RS_AAAA, domain, answered) && asked;
		if (!asked)
			*found = FINDING_FAILED;
	} else
		finding_add(found, type == RS_MX && names_is_null_mx(a, tail) ? FINDING_NULL_MX : names_finding(a));
	session_found(p, s);
}

/* A null sender has no domain; a literal is no name. */
static void
begin(struct policy *p, struct session *s)
{
	struct bytes domain = sender_domain(s);

	if (!variable_is_set(&s->client.says, VAR_MFDNSCHECK) || s->envelope.reverse.len == 0 ||
	    domain_is_literal(domain) || sender_is_exempt(s))
		return;
	if (!names_ask(p, &s->asking[CHECK_senderdns], RS_MX, RS_MX, domain, answered))
		s->client.found.of[CHECK_senderdns] = FINDING_FAILED;
}

/* ---- the judge ---- */

static bool
check_sender_exists(const struct asked *a)
{
	if (a->c->relays)
		return false;
	switch (a->c->found.of[CHECK_senderdns]) {
	case FINDING_BAD:
		return judge_settle_with_words(a,
		    REFUSAL(553, 5, 1, 8, "sorry, your envelope sender must exist", "sender's domain not in DNS"),
		    VAR_REPLY_SENDEREXIST);
	case FINDING_NULL_MX: /* RFC 7505 4.2 */
		return judge_settle_with_words(a,
		    REFUSAL(
			550, 5, 7, 27, "sorry, your envelope sender's domain takes no mail", "sender has a null MX"),
		    VAR_REPLY_SENDEREXIST);
	case FINDING_FAILED:
		return judge_no_dns(a, "no answer about the sender");
	default:
		return false;
	}
}

const struct check_work senderdns_work = { .begin = begin, .judge = check_sender_exists };
