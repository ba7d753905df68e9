/* Refusals of a front end, told to policy.
 * Trusts its caller to give no line that has a password in it.
 * Never sends more than SP_TELL_MAX messages a session, never waits for an answer. */
#include "wire/tell.h"

#include <stdio.h>
#include <string.h>

static void
put(struct buf *tail, struct bytes field, size_t max)
{
	wire_put(tail, bytes_first(field, max));
}

static void
send_one(struct tell *t, struct channel *policy, const struct sp_tell *body, const char *text, const struct told *what)
{
	uint8_t room[SP_TELL_TAIL_MAX];
	struct buf tail = BUF_OVER(room);
	struct why why = WHY_NONE;

	put(&tail, what->helo, SP_HELO_MAX);
	put(&tail, what->reverse, SP_PATH_MAX);
	put(&tail, bytes_of_string(text), SP_TELL_TEXT_MAX);
	put(&tail, what->said, SP_TELL_SAID_MAX);
	(void)!channel_send(policy, SP_TELL, 0, body, buf_bytes(&tail), NULL, &why);
	t->n_told++;
	t->helo_known = true;
}

void
tell_refusal(struct tell *t, struct channel *policy, unsigned code, const char *text, const struct told *what)
{
	struct sp_tell body = { .code = (uint16_t)code, .n = 1 };

	if (t->n_told + 1 < SP_TELL_MAX) {
		send_one(t, policy, &body, text, what);
		return;
	}
	t->n_rest++;
	t->code = (uint16_t)code;
	(void)snprintf(t->text, sizeof t->text, "%s", text);
}

void
tell_rest(struct tell *t, struct channel *policy, struct bytes helo)
{
	struct sp_tell body = { .code = t->code, .n = t->n_rest };
	struct told what = { .helo = helo };

	if (t->n_rest > 0 || (helo.len > 0 && !t->helo_known))
		send_one(t, policy, &body, t->text, &what);
	t->n_rest = 0;
}
