/* One message over the connection: envelope, content, the last reply; and what send is told.
 * Trusts the last reply for what became of the message, nothing else.
 * Never reports a message before its last reply, or the connection's end, is there. */
#include "remote/remote.h"

#include "sys/clock.h"
#include "sys/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PARTING_MS 3000 /* for the last word of a peer that closes while it is sent to */

bool
line_lost(struct session *s, const struct why *why, struct outcome *o)
{
	bool served = s->line.n_served > 0;

	s->line.lost = true;
	return outcome_set(
	    o, served ? RM_UNTRIED : RM_TEMPORARY, served ? RM_OF_RECIPIENT : RM_OF_PEER, 4, 2, "%s", why->text);
}

/* ---- content and its reply ---- */

static void
content_failed(
    struct session *s, enum result r, const struct smtp_reply *refusal, const struct why *why, struct outcome *o)
{
	struct smtp_reply reply = *refusal;
	struct why ignored = WHY_NONE;

	s->line.lost = true;
	buf_clear(&s->line.talk.out);
	if (r == ABSENT || r == BROKEN) /* it may have said why before it closed */
		while (talk_reply(&s->line.talk, PARTING_MS, &reply, NULL, &ignored) == OK && reply.code < 400)
			reply.code = 0;
	if (r == MALFORMED)
		(void)outcome_set(o, RM_TEMPORARY, RM_OF_RECIPIENT, 3, 0, "%s", why->text);
	else if (reply.code >= 400)
		outcome_of_reply(o, &reply, RM_OF_RECIPIENT, 3, 0);
	else
		(void)outcome_set(o, RM_TEMPORARY, RM_OF_RECIPIENT, 4, 2, "%s", why->text);
}

/* The peer has the whole message and said neither that it took it nor that it refused it. False. */
static bool
in_doubt(struct session *s, const char *what, struct outcome *o)
{
	s->line.lost = true;
	(void)outcome_set(o, RM_TEMPORARY, RM_OF_RECIPIENT, 4, 2,
	    "%.300s, after the whole message was sent: it may come twice", what);
	o->duplicate = true;
	return false;
}

/* All replies to the content; the last one, or the first that is no 2xx, counts. */
static bool
hear_last(struct session *s, unsigned n, struct outcome *o)
{
	struct smtp_reply reply;
	struct why why = WHY_NONE;

	do
		if (talk_reply(&s->line.talk, session_limit(s, MINUTES(10)), &reply, NULL, &why) != OK)
			return in_doubt(s, why.text, o);
	while (--n > 0 && reply.code / 100 == 2);
	if (reply.code / 100 == 3)
		return in_doubt(s, reply.text, o);
	if (reply.code == 421 || n > 0)
		s->line.lost = true; /* n: other chunks have replies that nobody waits for */
	outcome_of_reply(o, &reply, RM_OF_RECIPIENT, reply.code < 300 ? 0 : 3, 0);
	return o->what == RM_DELIVERED;
}

/* Up to the last of the content, which makes the message the peer's. Not without send: another session may have it by now. */
static void
pass_content(struct session *s, struct transaction *t, struct transaction *next, struct outcome *o)
{
	bool chunked = (s->line.offer.can & SMTP_CAN_CHUNK) != 0, ahead = s->line.talk.ahead;
	struct smtp_reply refusal = SMTP_REPLY_NONE;
	struct why why = WHY_NONE;
	unsigned n_chunks = 0;
	enum result r = content_send(s, t, chunked, &n_chunks, &refusal, &why);

	if (r != OK) {
		content_failed(s, r, &refusal, &why, o);
		return;
	}
	if (session_is_abandoned(s))
		_exit(0);
	if (next != NULL)
		envelope_say_ahead(s, next);
	s->line.talk.ahead = ahead && (next != NULL || (chunked && n_chunks > 1));
	(void)hear_last(s, chunked ? n_chunks : 1, o);
	s->line.talk.ahead = ahead;
}

/* ---- to send ---- */

static void
tell_result(struct session *s, const struct transaction *t, uint32_t i, const struct outcome *o)
{
	struct rm_result body = { .recipient = i, .outcome = o->what };
	struct bytes text = bytes_first(bytes_of_string(o->text), WHY_MAX);
	struct why why = WHY_NONE;

	memcpy(body.enhanced, o->enhanced, sizeof body.enhanced);
	if (channel_send(&s->send, RM_RESULT, t->ref, &body, text, NULL, &why) != OK)
		return; /* send is gone: noticed when it is listened to */
}

void
tell_done(struct session *s, const struct transaction *t, const struct outcome *o, uint32_t transfer_ms,
    enum rm_closing closing)
{
	const struct line *l = &s->line;
	bool first = l->n_served == 0;
	struct rm_done body = { .outcome = o->what,
		.scope = o->scope,
		.duplicate = o->duplicate,
		.closing = (uint8_t)closing,
		.from_peer = o->from_peer,
		.dsn = (l->offer.can & SMTP_CAN_DSN) != 0,
		.dns_ms = first ? l->dns_ms : 0,
		.connect_ms = first ? l->connect_ms : 0,
		.tls_ms = first ? l->tls_ms : 0,
		.transfer_ms = transfer_ms };
	uint8_t room[3000];
	struct buf tail = BUF_OVER(room);
	struct why why = WHY_NONE;

	memcpy(body.enhanced, o->enhanced, sizeof body.enhanced);
	wire_put_string(&tail, l->host != NULL ? l->host->name : "");
	wire_put_string(&tail, l->host != NULL ? l->address : "");
	wire_put_string(&tail, l->secure ? l->found.protocol : "");
	wire_put_string(&tail, l->secure ? l->found.cipher : "");
	wire_put_string(&tail, l->how);
	wire_put_string(&tail, o->text);
	if (channel_send(&s->send, RM_DONE, t->ref, &body, buf_bytes(&tail), NULL, &why) != OK)
		log_why("answer", ABSENT, &why);
}

void
deliver(struct session *s, struct transaction *t, struct transaction *next)
{
	uint64_t began = clock_ms();
	struct outcome o;

	memset(&o, 0, sizeof o);
	s->line.talk.ends_at = began + MESSAGE_MS + RECIPIENT_MS * (uint64_t)t->n_to +
	    OCTET_MS * t->message.content_len;
	if (envelope_is_fit(s, t, &o) && envelope_pass(s, t, &o))
		pass_content(s, t, next, &o);
	/* without MAIL what was said to RCPT is of the sequence, not of the recipient */
	for (uint32_t i = 0; i < t->n_to && o.what != RM_UNTRIED && t->mail.code / 100 == 2; i++)
		if (t->to[i].refused != NULL)
			tell_result(s, t, i, t->to[i].refused);
	s->line.talk.ends_at = 0;
	tell_done(s, t, &o, (uint32_t)(clock_ms() - began),
	    s->line.lost                    ? RM_LOST
		: line_is_used_up(&s->line) ? RM_CLOSING
					    : RM_STAYS);
	s->line.n_served++;
}
