/* MAIL, RCPT and DATA: said one by one, or in groups where the peer takes them so (RFC 2920).
 * Trusts each reply for what it answers, by its place; none that was not asked for.
 * Never begins with content unless a recipient was accepted. */
#include "remote/remote.h"

#include "net/smtp_command.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW 6000       /* octets of commands without a reply: the replies fit into any socket's buffer */
#define AHEAD_OCTETS 4096 /* of an envelope that is said behind the content of the message before */

static bool
can(const struct session *s, enum smtp_feature f)
{
	return (s->line.offer.can & f) != 0;
}

bool
envelope_is_fit(const struct session *s, const struct transaction *t, struct outcome *o)
{
	const struct smtp_offer *offer = &s->line.offer;
	uint64_t octets = t->message.content_len + t->trace.len;

	if (offer->size > 0 && octets > offer->size)
		return outcome_set(o, RM_PERMANENT, RM_OF_RECIPIENT, 3, 4,
		    "%s takes messages of %llu octets at most; this one has %llu", s->line.host->name,
		    (unsigned long long)offer->size, (unsigned long long)octets);
	if ((t->message.flags & RM_SMTPUTF8) != 0 && !can(s, SMTP_CAN_UTF8))
		return outcome_set(o, RM_PERMANENT, RM_OF_RECIPIENT, 6, 7,
		    "the message needs SMTPUTF8, which %s does not offer", s->line.host->name);
	return true;
}

/* ---- commands ---- */

static void
add_parameter(struct buf *b, const char *name, struct bytes value)
{
	buf_add_octet(b, ' ');
	buf_add_string(b, name);
	buf_add(b, value);
}

static void
say_reset(struct session *s, struct transaction *t)
{
	if (!s->line.needs_reset)
		return;
	buf_add_string(&s->line.talk.out, "RSET\r\n");
	t->reset_due = true;
	s->line.needs_reset = false;
}

static void
say_mail(struct session *s, struct transaction *t)
{
	struct buf *b = &s->line.talk.out;
	unsigned long long octets = t->message.content_len + t->trace.len;

	buf_add_string(b, "MAIL FROM:<");
	buf_add(b, t->reverse);
	buf_add_octet(b, '>');
	if (can(s, SMTP_CAN_SIZE))
		buf_format(b, " SIZE=%llu", octets);
	if (can(s, SMTP_CAN_8BIT) && (t->message.flags & RM_8BIT) != 0)
		buf_add_string(b, " BODY=8BITMIME");
	if ((t->message.flags & RM_SMTPUTF8) != 0)
		buf_add_string(b, " SMTPUTF8");
	if (can(s, SMTP_CAN_DSN) && (t->message.flags & (RM_RET_FULL | RM_RET_HDRS)) != 0)
		buf_add_string(b, (t->message.flags & RM_RET_FULL) != 0 ? " RET=FULL" : " RET=HDRS");
	if (can(s, SMTP_CAN_DSN) && t->envid.len > 0)
		add_parameter(b, "ENVID=", t->envid);
	buf_add_string(b, "\r\n");
	t->mail_said = t->mail_due = true;
}

static void
add_notify(struct buf *b, uint8_t notify)
{
	const char *before = " NOTIFY=";

	for (size_t i = 0; i < NOTIFY_N_WORDS; i++)
		if ((notify & notify_words[i].bit) != 0) {
			buf_add_string(b, before);
			buf_add_string(b, notify_words[i].text);
			before = ",";
		}
}

static void
say_rcpt(struct session *s, struct transaction *t)
{
	const struct recipient *r = &t->to[t->n_said++];
	struct buf *b = &s->line.talk.out;

	buf_add_string(b, "RCPT TO:<");
	buf_add(b, r->address);
	buf_add_octet(b, '>');
	if (can(s, SMTP_CAN_DSN)) {
		add_notify(b, r->notify);
		if (r->orcpt.len > 0)
			add_parameter(b, "ORCPT=", r->orcpt);
	}
	buf_add_string(b, "\r\n");
}

static void
say_data(struct session *s, struct transaction *t)
{
	buf_add_string(&s->line.talk.out, "DATA\r\n");
	t->data_said = true;
}

/* The recipients that one transaction of this peer takes (RFC 9422 3.2). */
static uint32_t
n_to_ask(const struct session *s, const struct transaction *t)
{
	uint32_t max = s->line.offer.rcpt_max;

	return max > 0 && max < t->n_to ? max : t->n_to;
}

void
envelope_say_ahead(struct session *s, struct transaction *t)
{
	struct outcome o;

	if (!can(s, SMTP_CAN_PIPELINE) || t->recipients.len + 64u * t->n_to > AHEAD_OCTETS ||
	    !envelope_is_fit(s, t, &o))
		return;
	say_reset(s, t);
	say_mail(s, t);
	while (t->n_said < n_to_ask(s, t))
		say_rcpt(s, t);
	if (!can(s, SMTP_CAN_CHUNK))
		say_data(s, t);
}

/* ---- replies ---- */

static bool
hear(struct session *s, uint64_t ms, struct smtp_reply *reply, struct outcome *o)
{
	struct why why = WHY_NONE;

	if (talk_reply(&s->line.talk, session_limit(s, ms), reply, NULL, &why) != OK)
		return line_lost(s, &why, o);
	if (reply->code == 421)
		s->line.lost = true;
	return true;
}

static bool
make_refusal(struct session *s, struct recipient *r, struct outcome *o)
{
	if ((r->refused = calloc(1, sizeof *r->refused)) != NULL)
		return true;
	s->line.lost = true;
	return outcome_set(o, RM_TEMPORARY, RM_OF_RECIPIENT, 3, 0, "no memory for a reply");
}

/* Too many recipients, which another transaction may have: 452, or 552 as of old (RFC 5321 4.5.3.1.10). Both codes have other
 * meanings, too: without a status they are taken for this one only behind a recipient that was accepted. */
static bool
is_too_many(const struct transaction *t, const struct smtp_reply *reply)
{
	bool fits = reply->code == 452 || reply->code == 552;
	bool says_so = reply->enhanced[0] > 0 && reply->enhanced[1] == 5 && reply->enhanced[2] == 3;

	if (t->n_accepted == 0)
		return fits && says_so;
	return says_so || (fits && reply->enhanced[0] == 0);
}

/* Those that were not asked for have a refusal that lets send give them again, in a transaction of their own. */
static bool
leave_rest(struct session *s, struct transaction *t, struct outcome *o)
{
	for (uint32_t i = n_to_ask(s, t); i < t->n_to; i++) {
		if (!make_refusal(s, &t->to[i], o))
			return false;
		(void)outcome_set(t->to[i].refused, RM_TEMPORARY, RM_OF_RECIPIENT, 5, 3,
		    "%s takes %u recipients at a time", s->line.host->name, n_to_ask(s, t));
	}
	return true;
}

/* The reply to the next command that has none yet. */
static bool
hear_next(struct session *s, struct transaction *t, struct outcome *o)
{
	struct smtp_reply reply;
	struct recipient *r;

	if (t->reset_due) {
		t->reset_due = false;
		return hear(s, MINUTES(5), &reply, o);
	}
	if (t->mail_due) {
		t->mail_due = false;
		return hear(s, MINUTES(5), &t->mail, o);
	}
	if (t->n_heard == t->n_said)
		return hear(s, MINUTES(2), &t->data, o);
	if (!hear(s, MINUTES(5), &reply, o))
		return false;
	r = &t->to[t->n_heard++];
	if (reply.code / 100 == 2) {
		t->n_accepted++;
		return true;
	}
	if (!make_refusal(s, r, o))
		return false;
	if (!is_too_many(t, &reply)) {
		outcome_of_reply(r->refused, &reply, reply.code == 421 ? RM_OF_PEER : RM_OF_RECIPIENT, 1, 0);
		return true;
	}
	(void)outcome_set(r->refused, RM_TEMPORARY, RM_OF_RECIPIENT, 5, 3, "%s", reply.text);
	r->refused->from_peer = true;
	return true;
}

static bool
hear_all(struct session *s, struct transaction *t, struct outcome *o)
{
	while (t->reset_due || t->mail_due || t->n_heard < t->n_said)
		if (!hear_next(s, t, o))
			return false;
	return true;
}

/* Says and hears MAIL and all RCPTs; DATA goes with the last group. */
static bool
say_and_hear(struct session *s, struct transaction *t, struct outcome *o)
{
	bool pipelines = can(s, SMTP_CAN_PIPELINE);

	if (!t->mail_said) {
		say_reset(s, t);
		if (!pipelines && !hear_all(s, t, o))
			return false;
		say_mail(s, t);
		if (!pipelines && !hear_all(s, t, o))
			return false;
	}
	while (t->n_said < n_to_ask(s, t) && (pipelines || t->mail.code / 100 == 2)) {
		say_rcpt(s, t);
		if ((!pipelines || s->line.talk.out.len > WINDOW) && !hear_all(s, t, o))
			return false;
	}
	if (pipelines && !t->data_said && !can(s, SMTP_CAN_CHUNK))
		say_data(s, t);
	return hear_all(s, t, o) && (!t->data_said || hear_next(s, t, o));
}

/* The peer waits for content that there is none to send of. */
static bool
end_empty(struct session *s, struct outcome *o)
{
	struct smtp_reply reply;

	buf_add_string(&s->line.talk.out, ".\r\n");
	return hear(s, MINUTES(10), &reply, o);
}

bool
envelope_pass(struct session *s, struct transaction *t, struct outcome *o)
{
	bool accepted;

	if (!say_and_hear(s, t, o) || !leave_rest(s, t, o))
		return false;
	s->line.needs_reset = true;
	accepted = t->mail.code / 100 == 2 && t->n_accepted > 0 && !s->line.lost;
	if (accepted && !t->data_said && !can(s, SMTP_CAN_CHUNK)) {
		say_data(s, t);
		if (!hear_next(s, t, o))
			return false;
	}
	if (accepted && (!t->data_said || t->data.code / 100 == 3)) {
		s->line.needs_reset = false;
		return true;
	}
	if (!accepted && t->data_said && t->data.code / 100 == 3 && !s->line.lost) {
		if (t->mail.code / 100 != 2)
			s->line.lost = true; /* whose mail does it wait for? An end could make an empty message of it */
		else if (!end_empty(s, o))
			return false;
	}
	if (t->mail.code / 100 != 2)
		outcome_of_reply(o, &t->mail, t->mail.code == 421 ? RM_OF_PEER : RM_OF_RECIPIENT, 1, 0);
	else if (accepted)
		outcome_of_reply(o, &t->data, RM_OF_RECIPIENT, 3, 0);
	else
		(void)outcome_set(o, RM_TEMPORARY, RM_OF_RECIPIENT, 4, 2, "no recipient was accepted");
	if (o->what == RM_DELIVERED) /* a 2xx to DATA: it is not what it should be */
		(void)outcome_set(
		    o, RM_TEMPORARY, RM_OF_PEER, 5, 0, "the peer answered DATA with: %.200s", t->data.text);
	return false;
}
