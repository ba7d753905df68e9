/* What users' processes are told of a task, and what they may answer: local, instruct, pipe.
 * Trusts none of them for more than what becomes of that task: they are the users'.
 * Never takes an answer whose numbers can't be. */
#include "send/lines.h"

#include "base/enhanced.h"
#include "mail/program_exit.h"

#include <stdio.h>
#include <string.h>

/* ---- local ---- */

static enum result
give_local(struct task *t, struct port *port, uint32_t slot, struct why *why)
{
	struct message *m = t->message;
	struct sd_deliver body = { .content_at = m->store.content_at, .content_len = m->store.content_len };
	uint8_t room[6144];
	struct buf tail = BUF_OVER(room);
	struct bytes path = t->maildir;

	memcpy(body.id, m->id.text, sizeof body.id);
	body.flags = (t->make_maildir ? SD_MAKE_MAILDIR : 0) | (t->look_first ? SD_LOOK_FIRST : 0) |
	    (t->dash.len > 0 ? SD_EXTENDED : 0);
	if (t->list != NULL)
		path = instructions_path(t, &body.flags);
	task_put_reverse(t, &tail);
	wire_put(&tail, t->address);
	wire_put(&tail, path);
	wire_put(&tail, m->store.trace);
	if (buf_result(&tail) != OK)
		return why_set(why, EXHAUSTED, "the envelope is too large to be delivered");
	return port_send(port, SD_DELIVER, slot, &body, buf_bytes(&tail), &m->fd, why);
}

static enum result
check_local(struct task *t, const struct wire_message *m, struct why *why)
{
	const struct sd_result *r = m->body;

	(void)why;
	if (r->outcome == SD_INSTRUCTED)
		return t->look_first ? OK : MALFORMED;
	return r->outcome <= SD_PERMANENT && enhanced_is_valid(r->enhanced) ? OK : MALFORMED;
}

static void
conclude_local(struct send *s, struct task *t, const struct wire_message *m)
{
	const struct sd_result *r = m->body;

	if (r->outcome == SD_INSTRUCTED) {
		t->look_first = false;
		lines_pass(s, t, LINE_INSTRUCT);
	} else if (t->list != NULL)
		instructions_went(s, t, (enum sd_outcome)r->outcome, false, r->enhanced, m->tail);
	else
		lines_settle(s, t, (enum sd_outcome)r->outcome, r->enhanced, m->tail);
}

bool
line_is_instructed(const struct wire_message *m)
{
	return ((const struct sd_result *)m->body)->outcome == SD_INSTRUCTED;
}

/* ---- instruct ---- */

static enum result
give_instruct(struct task *t, struct port *port, uint32_t slot, struct why *why)
{
	const struct store_message *m = &t->message->store;
	struct si_ask body = { .has_sender = m->reverse.len > 0 && (m->flags & STORE_DOUBLE_BOUNCE) == 0 };
	uint8_t room[1400];
	struct buf tail = BUF_OVER(room);

	instructions_free(t); /* what a process that ended had begun to say */
	wire_put(&tail, t->dash);
	wire_put(&tail, t->extension);
	if (buf_result(&tail) != OK)
		return why_set(why, EXHAUSTED, "the extension is too long");
	return port_send(port, SI_ASK, slot, &body, buf_bytes(&tail), NULL, why);
}

static enum result
check_instruct(struct task *t, const struct wire_message *m, struct why *why)
{
	return instructions_take(t, m, why);
}

/* ---- pipe ---- */

static enum result
give_pipe(struct task *t, struct port *port, uint32_t slot, struct why *why)
{
	struct message *m = t->message;
	size_t at = bytes_find_last(t->address, '@');
	struct pi_run body = { .content_at = m->store.content_at, .content_len = m->store.content_len };
	uint8_t room[7936];
	struct buf tail = BUF_OVER(room);
	struct bytes rest = BYTES_NONE;
	uint32_t flags = 0;

	memcpy(body.id, m->id.text, sizeof body.id);
	body.limit_s = instructions_limit_s(t);
	body.has_default = instructions_default(t, &rest);
	wire_put(&tail, instructions_path(t, &flags));
	instructions_put_senders(t, &tail);
	wire_put(&tail, bytes_first(t->address, at));
	wire_put(&tail, bytes_skip(t->address, at + 1));
	wire_put(&tail, t->user);
	wire_put(&tail, t->extension);
	wire_put(&tail, rest);
	wire_put(&tail, m->store.trace);
	if (buf_result(&tail) != OK)
		return why_set(why, EXHAUSTED, "the envelope is too large for a program");
	return port_send(port, PI_RUN, slot, &body, buf_bytes(&tail), &m->fd, why);
}

static enum result
check_pipe(struct task *t, const struct wire_message *m, struct why *why)
{
	const struct pi_result *r = m->body;

	(void)t;
	(void)why;
	return r->outcome <= PI_NOT_RUN ? OK : MALFORMED;
}

static enum sd_outcome
outcome_of(const struct pi_result *r, bool *stop)
{
	enum program_verdict v = PROGRAM_LATER;

	if (r->outcome == PI_EXITED)
		v = program_verdict_of(r->code);
	else if (r->outcome == PI_NOT_RUN && r->code != 0)
		v = PROGRAM_NEVER;
	*stop = v == PROGRAM_STOP;
	return v == PROGRAM_LATER ? SD_TEMPORARY : v == PROGRAM_NEVER ? SD_PERMANENT : SD_DELIVERED;
}

static void
put_words(struct buf *b, const struct pi_result *r, struct bytes said)
{
	if (r->outcome == PI_LATE)
		buf_add_string(b, "the program took too long and was ended");
	else if (r->outcome == PI_SIGNAL)
		buf_format(b, "the program died of signal %u", r->code);
	else if (r->outcome == PI_EXITED && said.len == 0)
		buf_format(b, "the program's exit status is %u", r->code);
	if (said.len > 0)
		buf_format(b, "%s%.*s", b->len > 0 ? ": " : "", (int)said.len, (const char *)said.at);
}

static void
conclude_pipe(struct send *s, struct task *t, const struct wire_message *m)
{
	const struct pi_result *r = m->body;
	uint16_t status[3] = { 0, 3, 0 };
	uint8_t room[PI_SAID_MAX + 100];
	struct buf text = BUF_OVER(room);
	bool stop;
	enum sd_outcome outcome = outcome_of(r, &stop);

	program_status_in(m->tail, outcome == SD_PERMANENT ? 5 : 4, status);
	put_words(&text, r, m->tail);
	instructions_went(s, t, outcome, stop, status, buf_bytes(&text));
}

const struct line_work line_works[] = {
	[LINE_LOCAL] = { "local", &send_local_protocol, SL_LOCAL, SD_IN_FLIGHT, give_local, check_local,
	    conclude_local },
	[LINE_INSTRUCT] = { "instruct", &send_instruct_protocol, SL_INSTRUCT, SI_IN_FLIGHT, give_instruct,
	    check_instruct, instructions_begin },
	[LINE_PIPE] = { "pipe", &send_pipe_protocol, 0, PI_IN_FLIGHT, give_pipe, check_pipe, conclude_pipe },
};
