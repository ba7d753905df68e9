/* SPF: the names of a check, from resolve.
 * Trusts resolve for what DNS says; what the records say only within the limits of lib/net.
 * Never keeps more than a bounded number of answers, nor any of them beyond its check. */
#include "policy/spf.h"

#include "policy/checks.h"
#include "policy/session.h"

#include "sys/clock.h"
#include "sys/log.h"

#include <stdlib.h>
#include <string.h>

#define KNOWN_MAX 128 /* names of a check: 10 terms of 10 hosts, and the records */
#define OCTETS_MAX (1u << 16)
#define AT_ONCE 8 /* questions that wait at a time */

struct spf_known {
	struct spf_known *next;
	bool answered;
	unsigned number; /* of the question */
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

struct errand {
	struct policy *p;
	struct session *s;
};

static void answered(struct calls *c, struct caller *who, unsigned what, enum call_end how, struct wire_message *m);

static enum result
ask(const struct errand *e, enum rs_type type, struct bytes name)
{
	struct session *s = e->s;
	struct spf_known *k;

	if (s->spf.n_open == AT_ONCE)
		return AGAIN; /* with the next answer */
	if (s->spf.n_known == KNOWN_MAX || (k = calloc(1, sizeof *k)) == NULL)
		return EXHAUSTED;
	if (!names_ask(e->p, &s->asking[CHECK_spf], s->spf.n_known, type, name, answered)) {
		free(k);
		return BROKEN;
	}
	k->type = (uint16_t)type;
	k->number = s->spf.n_known;
	k->name_len = name.len;
	memcpy(k->name, name.at, name.len);
	k->next = s->spf.known;
	s->spf.known = k;
	s->spf.n_known++;
	s->spf.n_open++;
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

static void
begin(struct policy *p, struct session *s)
{
	spf_end(s);
	if (s->client.spf_level > 0 && !s->client.is_local_program)
		go_on(p, s);
}

static void
keep(struct session *s, struct spf_known *k, const struct rs_answer *a, struct bytes tail)
{
	struct bytes canonical;

	k->answered = true;
	k->outcome = (enum rs_outcome)a->outcome;
	if (a->outcome != RS_FOUND || !wire_take(&tail, &canonical))
		return;
	k->octets = s->spf.octets + tail.len <= OCTETS_MAX && tail.len > 0 ? malloc(tail.len) : NULL;
	if (k->octets == NULL) {
		k->outcome = RS_FAILED;
		return;
	}
	memcpy(k->octets, tail.at, tail.len);
	k->records = bytes_of(k->octets, tail.len);
	s->spf.octets += tail.len;
}

static void
answered(struct calls *c, struct caller *who, unsigned number, enum call_end how, struct wire_message *m)
{
	struct session *s = container_of(who, struct session, asking[CHECK_spf]);
	struct policy *p = policy_of_loop(c->loop);
	struct spf_known *k = s->spf.known;
	struct bytes tail;
	const struct rs_answer *a = names_answer(p, s, how, m, &tail);

	while (k != NULL && k->number != number)
		k = k->next;
	if (k != NULL) {
		s->spf.n_open--;
		keep(s, k, a, tail);
		go_on(p, s);
	}
	session_found(p, s);
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
	s->spf.n_open = 0;
	s->spf.octets = 0;
	calls_forget(&s->asking[CHECK_spf]);
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

/* ---- the judge ---- */

/* SPF: what the level refuses (RFC 7372 for the codes). */
static bool
check_spf(const struct asked *a)
{
	static const uint8_t refused_from[] = { [SPF_NONE] = 6,
		[SPF_NEUTRAL] = 5,
		[SPF_PASS] = 7,
		[SPF_FAIL] = 3,
		[SPF_SOFTFAIL] = 4,
		[SPF_TEMPERROR] = 2,
		[SPF_PERMERROR] = 6 };
	const struct sender_policy *spf = &a->c->spf;

	if (a->c->relays || !spf->checked || a->c->spf_level < refused_from[spf->result])
		return false;
	if (spf->result == SPF_TEMPERROR)
		return judge_settle(a, REFUSAL(451, 4, 7, 24, "SPF lookup failure, try again later", "SPF temperror"));
	*a->r = REFUSAL(550, 5, 7, 23, "sorry, the sender's domain does not let you send (SPF):", "SPF");
	if (spf->result == SPF_PERMERROR)
		*a->r = REFUSAL(550, 5, 7, 24, "sorry, the sender's domain has no valid SPF record", "SPF permerror");
	a->r->custom = spf->explanation;
	return true;
}

const struct check_work spf_work = { .begin = begin, .judge = check_spf };
