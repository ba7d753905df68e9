/* A message, from DATA to the answer to its final dot.
 * Trusts queue for the descriptor and for what is kept; of a front end only the form of what it says.
 * Never lets a message be kept that a check of the message stage refuses. */
#include "policy/message.h"

#include "policy/checks.h"
#include "policy/decide.h"
#include "policy/session.h"
#include "policy/transaction.h"

static bool
may_send_another(struct policy *p, const struct session *s)
{
	return s->client.user.len == 0 ||
	    usage_take(&p->usage, s->client.user, 1, 0, p->settings.user_messages, 0, p->loop.now);
}

void
message_begin(struct policy *p, struct session *s)
{
	const struct client *c = &s->client;
	struct reply r = REFUSAL(503, 5, 7, 1, "sorry, too many of your recipients were refused", "tarpit: notorious");

	if (c->tarpit_seconds == TARPIT_NOTORIOUS && !c->relays && c->tarpit_count > 0 && s->n_bad >= c->tarpit_count) {
		r.answer.close = 1;
		session_decide(p, s, &r, BYTES_NONE);
	} else if (!may_send_another(p, s)) {
		r = REFUSAL(
		    450, 4, 7, 1, "sorry, you have sent too much within the hour", "too many of the user's messages");
		session_decide(p, s, &r, BYTES_NONE);
	} else
		transaction_open(p, s);
}

void
message_whole(struct policy *p, struct session *s, const struct sp_commit *said)
{
	s->commit = *said;
	s->envelope.octets = said->octets;
	s->stage = STAGE_INSPECTING;
	checks_begin(p, s, CHECK_AT_MESSAGE);
	message_go_on(p, s);
}

void
message_go_on(struct policy *p, struct session *s)
{
	struct reply r;

	if (checks_wait(s, CHECK_AT_MESSAGE))
		return;
	checks_settle(p, s);
	r = decide_message(&s->client, &s->envelope);
	if (r.answer.code == 250)
		transaction_commit(p, s, &s->commit);
	else {
		session_log_refusal(s, &r, BYTES_NONE);
		transaction_abort(p, s);
		session_answer(p, s, &r);
	}
}
