/* To a host that serves: hosts in the order of preference, addresses of each, until one has greeted us.
 * Trusts no answer of a peer for more than that peer: what one refuses, the next may take.
 * Never tries without end, never sends mail where the TLS policy is not met. */
#include "remote/remote.h"

#include "sys/clock.h"
#include "sys/fd.h"
#include "sys/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool
outcome_set(struct outcome *o, enum rm_outcome what, enum rm_scope scope, unsigned subject, unsigned detail,
    const char *format, ...)
{
	va_list ap;

	*o = (struct outcome){ .what = (uint8_t)what, .scope = (uint8_t)scope };
	o->enhanced[0] = what == RM_DELIVERED ? 2 : what == RM_PERMANENT ? 5 : 4;
	o->enhanced[1] = (uint16_t)subject;
	o->enhanced[2] = (uint16_t)detail;
	va_start(ap, format);
	(void)vsnprintf(o->text, sizeof o->text, format, ap);
	va_end(ap);
	return what == RM_DELIVERED;
}

void
outcome_of_reply(struct outcome *o, const struct smtp_reply *r, enum rm_scope scope, unsigned subject, unsigned detail)
{
	enum rm_outcome what = r->code >= 500 ? RM_PERMANENT : r->code >= 400 ? RM_TEMPORARY : RM_DELIVERED;

	(void)outcome_set(
	    o, r->code >= 300 && r->code < 400 ? RM_TEMPORARY : what, scope, subject, detail, "%s", r->text);
	o->from_peer = true;
	if (r->enhanced[0] == o->enhanced[0])
		memcpy(o->enhanced, r->enhanced, sizeof o->enhanced);
}

static void
log_address(const struct session *s, const struct outcome *o)
{
	struct log_line l;

	log_begin(&l, SEVERITY_INFO, "peer-refused");
	log_text(&l, "conn", s->order.peer.conn);
	log_text(&l, "host", s->line.host->name);
	log_text(&l, "address", s->line.address);
	log_text(&l, "why", o->text);
	log_end(&l);
}

/* One failure counts for all: a temporary one, if there is any, since trying again may help. */
static void
weigh(struct outcome *all, const struct outcome *one)
{
	if (all->text[0] == '\0' || all->what == RM_PERMANENT || one->what != RM_PERMANENT)
		*all = *one;
}

static bool
connected(struct session *s, struct host *h, int fd, size_t which, enum greet_way *way, struct outcome *o)
{
	struct line *l = &s->line;
	uint64_t began = clock_ms();
	enum greeted g;

	talk_begin(&l->talk, fd);
	l->host = h;
	host_address_print(&h->addresses[which], l->address);
	l->talk.ends_at = began + GREETINGS_MS - s->greetings_ms;
	g = line_greet(s, *way, o);
	l->talk.ends_at = 0;
	s->greetings_ms += clock_ms() - began;
	s->gave_up = g == GIVE_UP;
	if (g == GREETED)
		return true;
	*way = g == WITHOUT_TLS ? GREET_PLAIN : g == WITHOUT_NAME ? GREET_NAMELESS : GREET_NAMED;
	if (*way != GREET_NAMED)
		h->addresses[which].tried = false;
	log_address(s, o);
	line_close(s, g == NEXT_ADDRESS);
	return false;
}

static bool
try_host(struct session *s, struct host *h, struct outcome *o)
{
	struct dial_wish wish = { s->order.peer.port, s->order.local_address, s->order.peer.connect_ms };
	enum greet_way way = GREET_NAMED;

	while (s->n_dials < DIALS_MAX && s->greetings_ms < GREETINGS_MS && !s->gave_up) {
		struct why why = WHY_NONE;
		uint64_t began = clock_ms();
		struct outcome failure;
		size_t which = 0;
		int fd = -1;

		s->n_dials++;
		if (dial(h->addresses, h->n, &wish, &which, &fd, &why) != OK) {
			if (o->text[0] == '\0') /* what a peer said is worth more */
				(void)outcome_set(o, RM_TEMPORARY, RM_OF_PEER, 4, 1, "%s (%s)", why.text, h->name);
			return false;
		}
		s->line.connect_ms = (uint32_t)(clock_ms() - began);
		if (connected(s, h, fd, which, &way, &failure))
			return true;
		weigh(o, &failure);
	}
	return false;
}

static bool
nowhere(const struct session *s, bool failed, struct outcome *o)
{
	const struct order *d = &s->order;
	struct bytes whom = d->peer.is_relay ? d->relay : d->destination;

	return failed ? outcome_set(o, RM_TEMPORARY, RM_OF_PEER, 4, 3, "no name server could say the address of %.*s",
			    (int)whom.len, (const char *)whom.at)
		      : outcome_set(o, RM_PERMANENT, RM_OF_PEER, 4, 4, "no host for %.*s has a usable address",
			    (int)whom.len, (const char *)whom.at);
}

static bool
find_hosts(struct session *s, const struct hosts_wish *w, struct outcome *o)
{
	struct why why = WHY_NONE;
	enum result r = hosts_find(&s->questions, w, &s->hosts, &why);

	return r == OK ||
	    outcome_set(o, r == AGAIN ? RM_TEMPORARY : RM_PERMANENT, RM_OF_PEER, s->hosts.status[0], s->hosts.status[1],
		"%s", why.text);
}

bool
line_open(struct session *s, struct outcome *o)
{
	const struct order *d = &s->order;
	struct hosts_wish wish = { d->destination, d->relay, d->own_names, d->peer.is_relay != 0 };
	uint64_t began = clock_ms();
	bool failed = false;

	memset(o, 0, sizeof *o);
	memset(&s->line.offer, 0, sizeof s->line.offer);
	if (!find_hosts(s, &wish, o))
		return false;
	for (unsigned i = 0; i < s->hosts.n && !s->gave_up; i++) {
		struct host *h = &s->hosts.list[i];
		struct outcome one = { .text = "" };
		bool usable = host_look_up(&s->questions, &wish, h);

		failed |= h->failed;
		if (i == 0)
			s->line.dns_ms = (uint32_t)(clock_ms() - began);
		if (h->is_unusable && o->text[0] == '\0')
			(void)outcome_set(o, RM_TEMPORARY, RM_OF_PEER, 4, 4,
			    "an MX record of %.*s names %s, which can be no host", (int)d->destination.len,
			    (const char *)d->destination.at, h->name);
		if (!usable)
			continue;
		if (try_host(s, h, &one))
			return true;
		weigh(o, &one);
	}
	if (o->text[0] == '\0')
		return nowhere(s, failed, o);
	if (failed && o->what == RM_PERMANENT)
		o->what = RM_TEMPORARY; /* a host that could not be looked up may take it */
	return false;
}

void
line_close(struct session *s, bool politely)
{
	struct talk *t = &s->line.talk;
	struct smtp_reply reply;
	struct why why = WHY_NONE;

	if (politely && !s->line.lost && t->fd >= 0) {
		buf_clear(&t->out);
		buf_add_string(&t->out, "QUIT\r\n");
		(void)(talk_reply(t, CALM_MS, &reply, NULL, &why) == OK);
	}
	talk_end(t);
	s->line.host = NULL;
	s->line.secure = false;
}
