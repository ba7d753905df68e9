/* DNS lists.
 * Trusts a list only within 127.0.0.0/8, and not once it has 127.0.0.1 or answers that it does not want to be asked.
 * Never refuses anybody because a list is silent, unless the rule says so; never asks one again at once that is. */
#include "policy/dnslists.h"

#include "policy/checks.h"
#include "policy/session.h"

#include "sys/clock.h"
#include "sys/log.h"

#include <string.h>

#define TEST_MS (60 * 60 * 1000)
#define REST_MS (60 * 1000)
#define FAILED_MAX 3
#define TELL_MS (60 * 1000)

/* ---- the lists ---- */

static void
add_lists(struct policy *p, enum control_item item, bool allows)
{
	struct bytes at = control_lines(p->settings.control, item), line;
	struct why why = WHY_NONE;

	while (p->dnslists.n < DNSLISTS_MAX && control_next_line(&at, &line)) {
		struct dnslist_state *l = &p->dnslists.lists[p->dnslists.n];

		*l = (struct dnslist_state){ .allows = allows };
		if (dnslist_parse(line, &l->list, &why) == OK)
			p->dnslists.n++;
	}
}

void
dnslists_open(struct policy *p)
{
	p->dnslists.n = 0;
	p->dnslists.tested_ms = 0;
	add_lists(p, ITEM_DNSLISTS, false);
	add_lists(p, ITEM_DNSALLOWLISTS, true);
}

/* One line a minute about each list. */
static void
complain(struct policy *p, struct dnslist_state *l, const char *what)
{
	struct log_line line;

	if (l->told_ms != 0 && p->loop.now - l->told_ms < TELL_MS)
		return;
	l->told_ms = p->loop.now;
	log_begin(&line, SEVERITY_WARNING, "dnslist-trouble");
	log_bytes(&line, "list", l->list.zone);
	log_text(&line, "why", what);
	log_end(&line);
}

static void
has_failed(struct policy *p, struct dnslist_state *l, const char *what)
{
	complain(p, l, what);
	if (++l->n_failed < FAILED_MAX)
		return;
	l->n_failed = 0;
	l->rests_until_ms = p->loop.now + REST_MS;
}

/* What the A records of an answer say. */
static enum dnslist_says
read_answer(struct policy *p, struct dnslist_state *l, const struct rs_answer *a, struct bytes tail)
{
	enum dnslist_says says = LIST_WITHOUT;
	struct bytes record;

	if (a->outcome == RS_NO_NAME || a->outcome == RS_NO_DATA) {
		l->n_failed = 0;
		return LIST_WITHOUT;
	}
	if (a->outcome != RS_FOUND || !wire_take(&tail, &record)) {
		has_failed(p, l, "no answer");
		return LIST_SILENT;
	}
	l->n_failed = 0;
	while (wire_take(&tail, &record)) {
		if (record.len != 4 || record.at[0] != 127)
			complain(p, l, "an answer outside 127.0.0.0/8 was ignored");
		else if (record.at[1] == 255 && record.at[2] == 255) {
			has_failed(p, l, "an answer of 127.255.255.0/24: it does not want to be asked from here");
			return LIST_SILENT;
		} else if (dnslist_counts(&l->list, record.at))
			says = LIST_WITH;
	}
	return says;
}

/* ---- test entries (RFC 5782 5): 127.0.0.1 is in no list, 127.0.0.2 in each ---- */

static const uint8_t nobody[4] = { 127, 0, 0, 1 }, somebody[4] = { 127, 0, 0, 2 };

/* The answer to the test entry `what`: two of each list. */
static void
tested(struct calls *c, struct caller *who, unsigned what, enum call_end how, struct wire_message *m)
{
	struct policy *p = policy_of_loop(c->loop);
	struct dnslist_state *l = &p->dnslists.lists[what / 2];
	const struct rs_answer *answer;
	enum dnslist_says says;
	struct bytes tail;

	(void)who;
	if (how != CALL_ANSWERED)
		return;
	answer = names_answer(p, NULL, how, m, &tail);
	says = read_answer(p, l, answer, tail);
	if (what % 2 == 1) {
		if (says == LIST_WITHOUT && l->list.n_answers == 0)
			complain(p, l, "its test entry 127.0.0.2 is not there");
		return;
	}
	if (says == LIST_WITH) {
		complain(p, l, "it has 127.0.0.1, and so everybody: it is not believed");
		l->suspended = true;
	} else if (says == LIST_WITHOUT)
		l->suspended = false;
}

static void
ask_test(struct policy *p, unsigned what, struct bytes name)
{
	(void)names_ask(p, &p->dnslists.tester, what, RS_A, name, tested);
}

static void
test(struct policy *p)
{
	char name[DNSLIST_NAME_MAX];

	p->dnslists.tested_ms = p->loop.now;
	for (unsigned i = 0; i < p->dnslists.n; i++) {
		const struct dnslist *l = &p->dnslists.lists[i].list;

		ask_test(p, 2 * i, bytes_of(name, dnslist_name(l, nobody, 4, name)));
		ask_test(p, 2 * i + 1, bytes_of(name, dnslist_name(l, somebody, 4, name)));
	}
}

/* ---- a session ---- */

static bool
is_lenient(const struct session *s, uint8_t letter)
{
	struct bytes how = variable_text(&s->client.says, VAR_DNSLISTS);

	return bytes_find(how, letter) == how.len;
}

static void answered(struct calls *c, struct caller *who, unsigned what, enum call_end how, struct wire_message *m);

static bool
ask(struct policy *p, struct session *s, unsigned i, enum rs_type type)
{
	char name[DNSLIST_NAME_MAX];
	size_t len = dnslist_name(
	    &p->dnslists.lists[i].list, s->client.peer.remote, s->client.peer.family == LP_IPV4 ? 4 : 16, name);

	return names_ask(
	    p, &s->asking[CHECK_dnslists], type == RS_TXT ? DNSLISTS_MAX + i : i, type, bytes_of(name, len), answered);
}

static void
ask_one(struct policy *p, struct session *s, unsigned i)
{
	struct dnslist_state *l = &p->dnslists.lists[i];

	if (l->suspended)
		return;
	s->listings.says[i] = LIST_SILENT;
	if (l->rests_until_ms > p->loop.now)
		return;
	if (!ask(p, s, i, RS_A))
		has_failed(p, l, "resolve can't be asked");
}

/* All lists, if the client's rule does not say otherwise. */
static void
begin(struct policy *p, struct session *s)
{
	memset(s->listings.says, LIST_NOT_ASKED, sizeof s->listings.says);
	s->listings.text_of = DNSLISTS_MAX;
	if (p->dnslists.n == 0 || p->settings.is_pop3 || s->client.relays || s->client.is_local_program ||
	    variable_is_set(&s->client.says, VAR_RBLSMTPD) || !is_lenient(s, '-'))
		return;
	if (p->dnslists.tested_ms == 0 || p->loop.now - p->dnslists.tested_ms > TEST_MS)
		test(p);
	for (unsigned i = 0; i < p->dnslists.n; i++)
		ask_one(p, s, i);
}

static void
log_listing(const struct session *s, const struct dnslist_state *l)
{
	struct log_line line;

	log_begin(&line, SEVERITY_INFO, "dnslist");
	session_log(&line, s);
	log_bytes(&line, "list", l->list.zone);
	log_text(&line, "says", l->allows ? "allow" : "refuse");
	log_end(&line);
}

static void
text_came(struct session *s, unsigned i, const struct rs_answer *a, struct bytes tail)
{
	struct bytes text;

	if (a->outcome != RS_FOUND || i >= s->listings.text_of || !wire_take(&tail, &text) || !wire_take(&tail, &text))
		return;
	text = bytes_first(text, DNSLISTS_TEXT_MAX);
	s->listings.text_of = (uint8_t)i;
	s->listings.text_len = (uint8_t)text.len;
	if (text.len > 0)
		memcpy(s->listings.text, text.at, text.len);
}

/* what: the list, or, of its TXT record, DNSLISTS_MAX more. */
static void
answered(struct calls *c, struct caller *who, unsigned what, enum call_end how, struct wire_message *m)
{
	struct session *s = container_of(who, struct session, asking[CHECK_dnslists]);
	struct policy *p = policy_of_loop(c->loop);
	unsigned i = what % DNSLISTS_MAX;
	struct dnslist_state *l = &p->dnslists.lists[i];
	struct bytes tail;
	const struct rs_answer *a = names_answer(p, s, how, m, &tail);

	if (what >= DNSLISTS_MAX)
		text_came(s, i, a, tail);
	else if ((s->listings.says[i] = (uint8_t)read_answer(p, l, a, tail)) == LIST_WITH) {
		log_listing(s, l);
		if (!l->allows && l->list.text.len == 0)
			(void)ask(p, s, i, RS_TXT);
	}
	session_found(p, s);
}

/* ---- what comes of it ---- */

/* The administrator's text, with the address in it. */
static void
put_text(struct session *s, struct bytes text)
{
	struct buf room = buf_over(s->listings.text, sizeof s->listings.text);

	while (text.len > 0) {
		if (bytes_starts(text, BYTES("%IP%"))) {
			buf_add_string(&room, s->client.name);
			text = bytes_skip(text, 4);
		} else {
			buf_add_octet(&room, text.at[0]);
			text = bytes_skip(text, 1);
		}
	}
	s->listings.text_len = (uint8_t)room.len;
}

static struct bytes
words_of(struct session *s, unsigned i, const struct dnslist_state *l)
{
	if (l->list.text.len > 0)
		put_text(s, l->list.text);
	else if (s->listings.text_of != i || s->listings.text_len == 0)
		return l->list.zone;
	return bytes_of(s->listings.text, s->listings.text_len);
}

static bool
here(struct session *s)
{
	struct bytes words = variable_text(&s->client.says, VAR_RBLSMTPD);

	if (words.at == NULL)
		return false;
	if (words.len > 0) {
		s->client.listed.how = LISTING_HERE;
		s->client.listed.for_good = words.at[0] == '-';
		s->client.listed.words = bytes_skip(words, words.at[0] == '-');
	}
	return true;
}

/* As rblsmtpd: a list that lets in goes before all that refuse. One that is silent has said what lets the peer in, or, with
 * the letter c, what does not. */
static void
settle(const struct policy *p, struct session *s)
{
	struct listed *listed = &s->client.listed;
	bool closed = !is_lenient(s, 'c'), allowed = false;

	*listed = (struct listed){ .how = LISTING_NONE };
	if (s->client.relays || here(s))
		return;
	for (unsigned i = 0; i < p->dnslists.n; i++) {
		const struct dnslist_state *l = &p->dnslists.lists[i];
		enum dnslist_says says = l->suspended ? LIST_NOT_ASKED : s->listings.says[i];

		if (l->allows)
			allowed = allowed || says == LIST_WITH || (says == LIST_SILENT && !closed);
		else if (says == LIST_WITH && listed->how != LISTING_LISTED)
			*listed = (struct listed){ LISTING_LISTED, !is_lenient(s, 'b'), words_of(s, i, l) };
		else if (says == LIST_SILENT && closed && listed->how == LISTING_NONE)
			listed->how = LISTING_SILENT;
	}
	if (allowed || !is_lenient(s, 'i'))
		listed->how = LISTING_NONE;
}

/* ---- the judge ---- */

/* RBLSMTPD and the DNS lists. */
static bool
check_lists(const struct asked *a)
{
	const struct listed *l = &a->c->listed;
	struct reply r = REFUSAL(451, 4, 7, 1, "your address is refused:", "in a DNS list");

	if (a->c->relays || l->how == LISTING_NONE)
		return false;
	if (l->how == LISTING_SILENT)
		return judge_no_dns(a, "a DNS list is silent");
	if (l->for_good)
		r = REFUSAL(553, 5, 7, 1, "your address is refused:", "in a DNS list");
	if (l->how == LISTING_HERE)
		r.reason = "RBLSMTPD";
	r.custom = l->words;
	return judge_settle(a, r);
}

const struct check_work dnslists_work = { .begin = begin, .settle = settle, .judge = check_lists };
