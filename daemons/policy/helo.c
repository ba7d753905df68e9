/* The check of the HELO name: badhelo, and against DNS as HELOCHECK says.
 * Trusts resolve for what DNS says; the name is the client's.
 * Never asks about a name that badhelo exempts, nor for those who may relay. */
#include "policy/checks.h"
#include "policy/session.h"

#include "control/patterns.h"
#include "net/domain.h"

static bool
helo_is_exempt(const struct session *s)
{
	struct verdict v;

	return pattern_check_helo(s->client.settings->control, s->envelope.helo, &v) == OK && v.says == VERDICT_EXEMPT;
}

static void
answered(struct calls *c, struct caller *who, unsigned type, enum call_end how, struct wire_message *m)
{
	struct session *s = container_of(who, struct session, asking[CHECK_helo]);
	struct policy *p = policy_of_loop(c->loop);
	struct bytes tail;
	const struct rs_answer *a = names_answer(p, s, how, m, &tail);

	finding_add(&s->client.found.of[CHECK_helo],
	    type == RS_MX && names_is_null_mx(a, tail) ? FINDING_BAD : names_finding(a));
	session_found(p, s);
}

/* HELOCHECK="A" and "M". */
static void
begin(struct policy *p, struct session *s)
{
	struct bytes how = s->client.helo_check, name = s->envelope.helo;
	bool asked;

	if ((!bytes_equal(how, BYTES("A")) && !bytes_equal(how, BYTES("M"))) || name.len == 0 ||
	    domain_is_literal(name) || helo_is_exempt(s))
		return;
	if (!domain_is_valid(name, false)) {
		s->client.found.of[CHECK_helo] = FINDING_BAD;
		return;
	}
	if (how.at[0] == 'M')
		asked = names_ask(p, &s->asking[CHECK_helo], RS_MX, RS_MX, name, answered);
	else {
		asked = names_ask(p, &s->asking[CHECK_helo], RS_A, RS_A, name, answered);
		asked = names_ask(p, &s->asking[CHECK_helo], RS_AAAA, RS_AAAA, name, answered) && asked;
	}
	if (!asked)
		s->client.found.of[CHECK_helo] = FINDING_FAILED;
}

/* ---- the judge ---- */

/* HELOCHECK="=", "A" and "M": the name against DNS. */
static bool
check_helo_name(const struct asked *a)
{
	const struct client *c = a->c;

	if (bytes_equal(c->helo_check, BYTES("="))) {
		if (c->host_known == HOST_FAILED)
			return judge_no_dns(a, "no answer about the peer's name");
		if (c->host.at == NULL ? c->host_known == HOST_NONE : !bytes_equal_nocase(c->host, a->e->helo))
			return judge_settle_with_words(a,
			    REFUSAL(
				550, 5, 7, 1, "sorry, HELO/EHLO does not fit your host name", "helo is not the host"),
			    VAR_REPLY_HELO);
	}
	if (c->found.of[CHECK_helo] == FINDING_FAILED)
		return judge_no_dns(a, "no answer about the helo");
	if (c->found.of[CHECK_helo] != FINDING_BAD)
		return false;
	return judge_settle_with_words(a,
	    REFUSAL(550, 5, 7, 1, "sorry, your HELO/EHLO name must exist in DNS", "helo not in DNS"), VAR_REPLY_HELO);
}

static bool
check_helo(const struct asked *a)
{
	struct bytes how = a->c->helo_check;
	struct verdict v;

	if (a->c->relays)
		return false;
	if (how.len == 1 && a->e->helo.len == 0)
		return judge_settle_with_words(
		    a, REFUSAL(550, 5, 7, 1, "sorry, say HELO or EHLO first", "no helo"), VAR_REPLY_HELO);
	if (bytes_equal(how, BYTES("!")))
		return false; /* any will do */
	if (pattern_check_helo(a->c->settings->control, a->e->helo, &v) != OK)
		return judge_unreadable(a);
	if (v.says == VERDICT_BAD) {
		(void)judge_settle_with_words(
		    a, REFUSAL(550, 5, 7, 1, "sorry, invalid HELO/EHLO greeting", "badhelo"), VAR_REPLY_HELO);
		a->r->form = v.form;
		return true;
	}
	return v.says != VERDICT_EXEMPT && check_helo_name(a);
}

const struct check_work helo_work = { .begin = begin, .judge = check_helo };
