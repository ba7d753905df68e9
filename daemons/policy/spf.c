/* SPF: the names of a check, from resolve.
 * Trusts resolve for what DNS says; what the records say only within the limits of lib/net.
 * Never keeps more than a bounded number of answers, nor any of them beyond its check. */
#include "policy/spf.h"

#include "policy/policy.h"

#include "sys/clock.h"
#include "sys/log.h"

#include <stdlib.h>
#include <string.h>

#define KNOWN_MAX 128 /* names of a check: 10 terms of 10 hosts, and the records */
#define OCTETS_MAX (1u << 16)
#define SLOTS (N_QUESTIONS - ASK_SPF)

struct spf_known {
	struct spf_known *next;
	bool answered;
	uint8_t slot; /* of the question, until then */
	uint16_t type;
	enum rs_outcome outcome;
	struct bytes records;
	uint8_t *octets; /* what records shows */
	size_t name_len;
	uint8_t name[SPF_NAME_MAX];
};

static struct spf_known *
find(const struct session *s, enum rs_type type, struct bytes name)
{
	for (struct spf_known *k = s->spf.known; k != NULL; k = k->next)
		if (k->type == type && bytes_equal_nocase(bytes_of(k->name, k->name_len), name))
			return k;
	return NULL;
}

/* A question that is free; SLOTS if none is. */
static unsigned
free_slot(const struct session *s)
{
	unsigned i = 0;

	while (i < SLOTS && (s->awaited & QUESTION(ASK_SPF + i)))
		i++;
	return i;
}

struct errand {
	struct policy *p;
	struct session *s;
};

static enum result
ask(const struct errand *e, enum rs_type type, struct bytes name)
{
	struct session *s = e->s;
	unsigned slot = free_slot(s);
	struct spf_known *k;

	if (slot == SLOTS)
		return AGAIN; /* with the next answer */
	if (s->spf.n_known == KNOWN_MAX || (k = calloc(1, sizeof *k)) == NULL)
		return EXHAUSTED;
	if (!names_ask(e->p, s, (enum question)(ASK_SPF + slot), type, name)) {
		free(k);
		return BROKEN;
	}
	k->type = (uint16_t)type;
	k->slot = (uint8_t)slot;
	k->name_len = name.len;
	memcpy(k->name, name.at, name.len);
	k->next = s->spf.known;
	s->spf.known = k;
	s->spf.n_known++;
	return AGAIN;
}

static enum result
look_up(void *ctx, enum rs_type type, struct bytes name, struct spf_answer *a)
{
	const struct errand *e = ctx;
	const struct spf_known *k = find(e->s, type, name);

	if (k == NULL)
		return ask(e, type, name);
	if (!k->answered)
		return AGAIN;
	a->outcome = k->outcome;
	a->records = k->records;
	return OK;
}

static struct spf_query
query_of(const struct session *s)
{
	const struct client *c = &s->client;
	struct bytes sender = s->envelope.reverse;
	size_t at = bytes_find_last(sender, '@');
	struct spf_query q = { .address = c->peer.remote,
		.address_len = c->peer.family == LP_IPV4 ? 4 : 16,
		.local = bytes_first(sender, at),
		.domain = bytes_skip(sender, at + 1),
		.helo = s->envelope.helo,
		.receiver = c->settings->me,
		.host = c->host,
		.now_s = clock_wall_s() };

	if (sender.len == 0) {
		q.local = BYTES("postmaster");
		q.domain = q.helo;
	}
	return q;
}

static void
explain(struct session *s, const struct spf_query *q)
{
	struct buf text = buf_over(s->spf.explanation, sizeof s->spf.explanation);

	if (!spf_expand(q, q->domain, control_text(s->client.settings->control, ITEM_SPFEXPLAIN), true, &text))
		text.len = 0;
	s->spf.explanation_len = (uint8_t)text.len;
	s->client.spf.explanation = buf_bytes(&text);
}

static void
go_on(struct policy *p, struct session *s)
{
	struct errand e = { p, s };
	struct spf_query q = query_of(s);
	enum spf_result found;
	struct log_line l;

	if (spf_check(&q, look_up, &e, control_text(p->settings.control, ITEM_SPFLOCALRULES), &found) != OK)
		return;
	spf_end(s);
	s->client.spf.checked = true;
	s->client.spf.result = found;
	explain(s, &q);
	log_begin(&l, SEVERITY_INFO, "spf");
	session_log(&l, s);
	log_text(&l, "result", spf_name(found));
	log_bytes(&l, "domain", q.domain);
	log_end(&l);
}

void
spf_begin(struct policy *p, struct session *s)
{
	spf_end(s);
	if (s->client.spf_level == 0 || s->client.is_local_program)
		return;
	s->spf.runs = true;
	go_on(p, s);
}

void
spf_answered(struct policy *p, struct session *s, unsigned n, const struct rs_answer *a, struct bytes tail)
{
	struct spf_known *k = s->spf.known;
	struct bytes canonical;

	while (k != NULL && (k->answered || k->slot != n))
		k = k->next;
	if (!s->spf.runs || k == NULL)
		return;
	k->answered = true;
	k->outcome = (enum rs_outcome)a->outcome;
	if (a->outcome == RS_FOUND && wire_take(&tail, &canonical)) {
		k->octets = s->spf.octets + tail.len <= OCTETS_MAX && tail.len > 0 ? malloc(tail.len) : NULL;
		if (k->octets == NULL)
			k->outcome = RS_FAILED;
		else {
			memcpy(k->octets, tail.at, tail.len);
			k->records = bytes_of(k->octets, tail.len);
			s->spf.octets += tail.len;
		}
	}
	go_on(p, s);
}

void
spf_end(struct session *s)
{
	while (s->spf.known != NULL) {
		struct spf_known *k = s->spf.known;

		s->spf.known = k->next;
		free(k->octets);
		free(k);
	}
	s->spf.n_known = 0;
	s->spf.octets = 0;
	s->spf.runs = false;
}

/* ---- the trace field ---- */

static bool
may_be_shown(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] <= 0x20 || text.at[i] > 0x7e || memchr("<>()\\\";=", text.at[i], 8) != NULL)
			return false;
	return text.len > 0 && text.len <= 255;
}

static void
put_pair(struct buf *text, const char *key, struct bytes value)
{
	if (!may_be_shown(value))
		return;
	buf_format(text, "\r\n\t%s=\"", key);
	buf_add(text, value);
	buf_add_string(text, "\";");
}

void
spf_put_trace(struct buf *text, const struct client *c, const struct envelope *e)
{
	if (!c->spf.checked)
		return;
	buf_format(text, "Received-SPF: %s receiver=", spf_name(c->spf.result));
	buf_add(text, c->settings->me);
	buf_format(text, "; client-ip=%s; identity=%s;", c->name, e->reverse.len > 0 ? "mailfrom" : "helo");
	put_pair(text, "envelope-from", e->reverse);
	put_pair(text, "helo", e->helo);
	buf_add_string(text, "\r\n");
}
