/* What a session of remote is told of a transaction.
 * Trusts the envelope, which was checked when it came in.
 * Never sends more than the protocol has room for. */
#include "send/hops.h"

#include <string.h>

#define RECIPIENTS_TAIL 7680 /* of an RM_RECIPIENTS */

static enum result
give_recipients(struct connection *c, const struct transaction *t, struct why *why)
{
	uint8_t room[RECIPIENTS_TAIL];
	struct buf tail = BUF_OVER(room);
	struct rm_recipients body = { .n = 0 };
	enum result r = OK;

	for (const struct task *task = t->first; task != NULL && r == OK; task = task->next) {
		size_t size = task->address.len + task->orcpt.len + 7; /* three lengths and an octet */

		if (tail.len + size > sizeof room) {
			r = port_send(&c->port, RM_RECIPIENTS, t->ref, &body, buf_bytes(&tail), NULL, why);
			buf_clear(&tail);
			body.n = 0;
		}
		wire_put(&tail, task->address);
		wire_put(&tail, task->orcpt);
		wire_put(&tail, bytes_of(&task->notify, 1));
		body.n++;
	}
	return r == OK ? port_send(&c->port, RM_RECIPIENTS, t->ref, &body, buf_bytes(&tail), NULL, why) : r;
}

static uint32_t
flags_of(const struct message *m)
{
	static const struct {
		uint32_t of_store, of_remote;
	} pairs[] = { { STORE_8BITMIME, RM_8BIT }, { STORE_SMTPUTF8, RM_SMTPUTF8 }, { STORE_RET_FULL, RM_RET_FULL },
		{ STORE_RET_HDRS, RM_RET_HDRS } };
	uint32_t flags = 0;

	for (size_t i = 0; i < nitems(pairs); i++)
		if ((m->store.flags & pairs[i].of_store) != 0)
			flags |= pairs[i].of_remote;
	return flags;
}

enum result
connection_give(struct connection *c, const struct transaction *t, struct why *why)
{
	const struct message *m = t->message;
	struct rm_message body = { .flags = flags_of(m),
		.n_recipients = t->n,
		.content_at = m->store.content_at,
		.content_len = m->store.content_len };
	uint8_t room[6144];
	struct buf tail = BUF_OVER(room);
	enum result r;

	memcpy(body.id, m->id.text, sizeof body.id);
	for (struct task *task = t->first; task != NULL; task = task->next)
		task->began_ms = c->to->send->loop.now;
	task_put_reverse(t->first, &tail);
	wire_put(&tail, m->store.envid);
	wire_put(&tail, m->store.trace);
	if (buf_result(&tail) != OK)
		return why_set(why, EXHAUSTED, "the envelope is too large to be delivered");
	r = port_send(&c->port, RM_MESSAGE, t->ref, &body, buf_bytes(&tail), &m->fd, why);
	return r == OK ? give_recipients(c, t, why) : r;
}
