/* What sessions of remote answer: results of transactions, and what these mean for the next hop.
 * Trusts remote for the outcome of what that session was given, and for no more.
 * Never settles a recipient before the transaction's end: until then nothing is final. */
#include "send/hops.h"

#include "base/enhanced.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOST_MAX 3 /* connections in a row that broke within a message, until the next hop counts as failed */

static struct transaction **
find(struct connection *c, uint64_t ref)
{
	struct transaction **link = &c->first;

	while (*link != NULL && (*link)->ref != ref)
		link = &(*link)->next;
	return link;
}

static struct transaction *
take_out(struct connection *c, struct transaction **link)
{
	struct transaction *t = *link;

	*link = t->next;
	if (c->last == t) {
		c->last = c->first;
		while (c->last != NULL && c->last->next != NULL)
			c->last = c->last->next;
	}
	t->next = NULL;
	c->n_given--;
	return t;
}

static enum sd_outcome
outcome_of(uint8_t outcome)
{
	return outcome == RM_DELIVERED ? SD_DELIVERED : outcome == RM_PERMANENT ? SD_PERMANENT : SD_TEMPORARY;
}

/* ---- of one recipient ---- */

static enum result
on_result(struct transaction *t, const struct rm_result *r, struct bytes text, struct why *why)
{
	struct task *task = t->first;

	for (uint32_t i = 0; i < r->recipient && task != NULL; i++)
		task = task->next;
	if (task == NULL || task->refused || !enhanced_is_valid(r->enhanced) ||
	    (r->outcome != RM_TEMPORARY && r->outcome != RM_PERMANENT))
		return why_set(why, MALFORMED, "remote gave a result that can't be");
	task->text = malloc(text.len + 1);
	if (task->text != NULL) {
		if (text.len > 0)
			memcpy(task->text, text.at, text.len);
		task->text[text.len] = '\0';
	}
	task->refused = true;
	task->outcome = (uint8_t)outcome_of(r->outcome);
	memcpy(task->enhanced, r->enhanced, sizeof task->enhanced);
	return OK;
}

/* ---- of a transaction ---- */

struct answer {
	const struct rm_done *done;
	struct verdict verdict;
	struct delivery_facts facts;
};

static bool
read_answer(struct answer *a, const struct connection *c, const struct rm_done *done, struct bytes tail)
{
	struct bytes f[RM_DONE_FIELDS];

	if (!wire_take_all(tail, f, RM_DONE_FIELDS) || done->outcome > RM_UNTRIED || !enhanced_is_valid(done->enhanced))
		return false;
	a->done = done;
	a->facts = (struct delivery_facts){ .conn = c->conn.text,
		.host = f[0].len > 0 ? f[0] : hop_name(c->to),
		.address = f[1],
		.protocol = f[2],
		.cipher = f[3],
		.how = f[4],
		.reply = f[5],
		.from_peer = done->from_peer != 0,
		.duplicate = done->duplicate != 0,
		.dsn = done->dsn != 0,
		.dns_ms = done->dns_ms,
		.connect_ms = done->connect_ms,
		.tls_ms = done->tls_ms,
		.transfer_ms = done->transfer_ms };
	a->verdict.outcome = outcome_of(done->outcome);
	a->verdict.from_peer = done->from_peer != 0;
	memcpy(a->verdict.enhanced, done->enhanced, sizeof a->verdict.enhanced);
	(void)snprintf(
	    a->verdict.host, sizeof a->verdict.host, "%.*s", (int)a->facts.host.len, (const char *)a->facts.host.at);
	(void)snprintf(a->verdict.text, sizeof a->verdict.text, "%.*s", (int)f[5].len, (const char *)f[5].at);
	return true;
}

static bool
is_of_peer(const struct rm_done *d)
{
	return d->outcome != RM_DELIVERED && d->outcome != RM_UNTRIED && d->scope == RM_OF_PEER;
}

/* This host could not speak with it. */
static bool
is_of_us(const struct rm_done *d)
{
	return d->outcome == RM_TEMPORARY && d->scope == RM_OF_US;
}

/* The dialogue came to an end, well or with a refusal; unless it broke off. */
static void
passed(struct connection *c, struct transaction *t, struct answer *a)
{
	struct next_hop *h = c->to;
	bool broke = a->done->outcome == RM_TEMPORARY && a->done->closing == RM_LOST && !a->done->from_peer;
	/* not if the peer wants the message itself later */
	bool at_once = a->done->outcome != RM_TEMPORARY || (!broke && !a->done->from_peer);
	struct transaction *rest = at_once ? transaction_split(t) : NULL;

	c->n_served++;
	if (!broke)
		hop_succeeded(h);
	transaction_settle(t, &a->verdict, &a->facts);
	if (rest != NULL)
		transaction_put_back(rest, false, a->verdict.text);
	if (broke && ++h->n_lost >= LOST_MAX)
		hop_failed(h, &a->verdict);
}

static void
judge(struct connection *c, struct transaction *t, struct answer *a)
{
	struct next_hop *h = c->to;
	bool served = c->n_served > 0;

	if (a->done->outcome == RM_UNTRIED)
		transaction_put_back(t, !served, "the peer closed the connection before this message");
	else if (is_of_us(a->done)) {
		hop_put_off(h, &a->verdict);
		a->facts.not_before_s = hop_not_before_s(h);
		transaction_settle(t, &a->verdict, &a->facts);
	} else if (is_of_peer(a->done) && (served || connections_serve(h, c))) {
		if (!served)
			hop_shrink(h); /* the others go on: it does not want so many */
		transaction_put_back(t, !served, a->verdict.text);
	} else if (is_of_peer(a->done) && a->done->outcome == RM_PERMANENT && a->done->from_peer) {
		hop_shrink(h); /* it may greet the next one otherwise: not all that waits is returned for it */
		transaction_settle(t, &a->verdict, &a->facts);
	} else if (is_of_peer(a->done) && a->done->outcome == RM_TEMPORARY && hop_may_try_again(h))
		transaction_put_back(t, true, a->verdict.text);
	else if (is_of_peer(a->done)) {
		hop_failed(h, &a->verdict);
		a->facts.not_before_s = hop_not_before_s(h);
		transaction_settle(t, &a->verdict, &a->facts);
	} else
		passed(c, t, a);
}

static enum result
on_done(struct connection *c, struct transaction **link, const struct rm_done *done, struct bytes tail, struct why *why)
{
	struct answer a;

	if (!read_answer(&a, c, done, tail))
		return why_set(why, MALFORMED, "remote gave an answer that can't be");
	c->closing |= done->closing != RM_STAYS;
	judge(c, take_out(c, link), &a);
	connection_go_on(c);
	return OK;
}

static enum result
on_wish(struct connection *c, struct wire_message *m, struct why *why)
{
	struct access a = hop_access(c->to);

	a.conn = c->conn.text;
	return credentials_answer(&c->credentials, &a, &c->port, m, why);
}

enum result
connection_answered(struct port *p, struct wire_message *m, struct why *why)
{
	struct connection *c = container_of(p, struct connection, port);
	struct transaction **link = find(c, m->ref);

	if (m->type == RM_RESULT && *link != NULL)
		return on_result(*link, m->body, m->tail, why);
	if (m->type == RM_DONE && *link != NULL)
		return on_done(c, link, m->body, m->tail, why);
	if (m->type == RM_SECURE || m->type == RM_AUTH)
		return on_wish(c, m, why);
	return why_set(why, MALFORMED, "remote said what it was not asked");
}
