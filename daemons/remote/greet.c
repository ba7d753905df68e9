/* What comes before a message: greeting, EHLO, TLS as the policy or DANE demands, authentication.
 * Trusts the engine for what was verified; nothing that was said in plain text once TLS has begun.
 * Never goes on in plain text where TLS is demanded. */
#include "remote/remote.h"

#include "sys/clock.h"
#include "sys/fd.h"
#include "sys/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TLSA_OCTETS 8192

/* What is demanded of this host. */
struct demand {
	enum rm_tls tls;
	bool dane;
	bool nameless; /* this address refused a server name */
	struct buf tlsa;
	uint8_t room[TLSA_OCTETS];
};

static bool
is_demanded(const struct demand *d)
{
	return d->dane || d->tls >= RM_TLS_MANDATORY;
}

static bool
find_demand(struct session *s, struct demand *d, struct outcome *o)
{
	const struct rm_peer *p = &s->order.peer;
	const struct host *h = s->line.host;

	d->tls = (enum rm_tls)p->tls;
	d->tlsa = BUF_OVER(d->room);
	d->dane = false;
	if (!host_uses_dane(h, p))
		return true;
	switch (host_tlsa(&s->questions, h, p->port, &d->tlsa)) {
	case TLSA_FAILED:
		return outcome_set(o, RM_TEMPORARY, RM_OF_PEER, 7, 5,
		    "the TLSA records of %s could not be had, so it can't be verified (DANE)", h->name);
	case TLSA_RECORDS:
		d->dane = true;
		return true;
	case TLSA_NONE:
		break;
	}
	return true;
}

/* ---- the dialogue's beginning ---- */

static bool
lost(struct session *s, enum result r, const struct why *why, struct outcome *o)
{
	(void)r;
	s->line.lost = true;
	return outcome_set(o, RM_TEMPORARY, RM_OF_PEER, 4, 2, "%s", why->text);
}

static bool
hear(struct session *s, uint64_t ms, struct smtp_reply *reply, struct smtp_offer *offer, struct outcome *o)
{
	struct why why = WHY_NONE;
	enum result r = talk_reply(&s->line.talk, session_limit(s, ms), reply, offer, &why);

	if (r != OK)
		return lost(s, r, &why, o);
	if (reply->code == 421)
		s->line.lost = true;
	return true;
}

/* The peer calls itself as we call ourselves: mail would go round. */
static bool
is_ourselves(const struct session *s, const struct smtp_reply *reply)
{
	struct bytes name = smtp_reply_words(reply);

	name = bytes_first(name, bytes_find(name, ' '));
	return !s->order.peer.is_relay && bytes_equal_nocase(name, s->order.helo);
}

static bool
greeting(struct session *s, struct outcome *o)
{
	struct smtp_reply reply;

	if (!hear(s, MINUTES(5), &reply, NULL, o))
		return false;
	if (reply.code == 220 && is_ourselves(s, &reply))
		return outcome_set(o, RM_PERMANENT, RM_OF_PEER, 4, 6,
		    "mail would come back: %s greets with our own name", s->line.address);
	if (reply.code == 220)
		return true;
	if (reply.code < 400)
		return outcome_set(
		    o, RM_TEMPORARY, RM_OF_PEER, 3, 2, "the peer's greeting is no 220: %.200s", reply.text);
	outcome_of_reply(o, &reply, RM_OF_PEER, 3, 2);
	return false;
}

static bool
hello(struct session *s, struct outcome *o)
{
	struct smtp_offer *offer = &s->line.offer;
	struct smtp_reply reply;

	memset(offer, 0, sizeof *offer);
	buf_format(&s->line.talk.out, "EHLO %.*s\r\n", (int)s->order.helo.len, (const char *)s->order.helo.at);
	if (!hear(s, MINUTES(5), &reply, offer, o))
		return false;
	if (reply.code >= 500 && !s->line.lost) { /* RFC 5321 3.2: it may know no EHLO */
		memset(offer, 0, sizeof *offer);
		buf_format(&s->line.talk.out, "HELO %.*s\r\n", (int)s->order.helo.len, (const char *)s->order.helo.at);
		if (!hear(s, MINUTES(5), &reply, NULL, o))
			return false;
	}
	s->line.talk.ahead = (offer->can & SMTP_CAN_PIPELINE) != 0;
	if (reply.code / 100 == 2)
		return true;
	if (reply.code < 400)
		return outcome_set(
		    o, RM_TEMPORARY, RM_OF_PEER, 3, 0, "the peer answered EHLO with: %.200s", reply.text);
	outcome_of_reply(o, &reply, RM_OF_PEER, 3, 0);
	return false;
}

/* ---- TLS ---- */

static enum result
shake(struct session *s, const struct demand *d, int *plain_fd, enum rm_blame *blame, struct why *why)
{
	const struct host *h = s->line.host;
	struct secure_wish w = { .dane = d->dane,
		.nameless = d->nameless,
		.vouched = h->vouched,
		.host = bytes_of_string(d->dane ? h->base : h->name),
		.known_as = d->dane ? bytes_of_string(h->name) : BYTES_NONE,
		.tlsa = buf_bytes(&d->tlsa) };
	uint64_t began = clock_ms();
	enum result r = secure_begin(s, s->line.talk.fd, &w, plain_fd, &s->line.found, blame, why);

	s->line.tls_ms = (uint32_t)(clock_ms() - began);
	return r;
}

static void
say_how(struct session *s, const struct demand *d)
{
	static const char *const wishes[] = { "", "opportunistic", "opportunistic", "mandatory", "ca", "name", "name",
		"pin" };

	(void)snprintf(s->line.how, sizeof s->line.how, "%s%s",
	    s->line.found.how[0] != '\0'  ? s->line.found.how
		: d->dane                 ? "mandatory (unusable TLSA records)"
		: d->tls < nitems(wishes) ? wishes[d->tls]
					  : "",
	    d->nameless ? ", no server name" : "");
}

/* There is no TLS, *o says why. No plain-text fallback for a failure of this host, nor for one that nobody can explain:
 * otherwise anyone who overloads this host, or takes over one of its sessions, could force mail into the clear. */
static enum greeted
without_tls(struct session *s, const struct demand *d, enum rm_blame blame, struct outcome *o)
{
	if (blame == RM_BLAME_US || blame == RM_BLAME_DEATH)
		return GIVE_UP;
	if (blame != RM_BLAME_PEER || is_demanded(d) || s->order.peer.implicit_tls)
		return NEXT_ADDRESS;
	(void)snprintf(s->line.how, sizeof s->line.how, "plain, since %.140s", o->text);
	return WITHOUT_TLS;
}

/* Some servers end a handshake that asks for a name which they don't know (RFC 6066 3 lets them). Where nothing is demanded of the
 * certificate, TLS without a name is as good. */
static bool
may_go_without_name(const struct demand *d, enum rm_blame blame)
{
	return blame == RM_BLAME_PEER && !d->nameless && !d->dane && d->tls <= RM_TLS_MANDATORY;
}

/* The engine takes the connection over; nothing that came before counts. An engine that dies counts against the next hop: who
 * can crash engines with a handshake makes his own mail wait longer and longer, and nobody else's. */
static enum greeted
go_secure(struct session *s, const struct demand *d, struct outcome *o)
{
	enum rm_blame blame = RM_BLAME_PEER;
	struct why why = WHY_NONE;
	int plain = -1;

	if (talk_is_disturbed(&s->line.talk)) {
		s->line.lost = true;
		(void)outcome_set(
		    o, RM_TEMPORARY, RM_OF_PEER, 7, 0, "the peer said something before TLS that was not asked for");
		return without_tls(s, d, blame, o);
	}
	if (shake(s, d, &plain, &blame, &why) != OK) {
		s->line.lost = true;
		(void)outcome_set(
		    o, RM_TEMPORARY, blame == RM_BLAME_US ? RM_OF_US : RM_OF_PEER, 7, 5, "TLS: %s", why.text);
		if (may_go_without_name(d, blame))
			return WITHOUT_NAME;
		return without_tls(s, d, blame, o);
	}
	talk_end(&s->line.talk);
	talk_begin(&s->line.talk, plain);
	s->line.secure = true;
	say_how(s, d);
	return GREETED;
}

/* `*` in tlsdestinations: no TLS is taken, TLS without a certificate is not, as in s/qmail. */
static bool
shows_enough(const struct session *s, const struct demand *d, struct outcome *o)
{
	return d->dane || d->tls != RM_TLS_CERTIFICATE || s->line.found.shown ||
	    outcome_set(o, RM_TEMPORARY, RM_OF_PEER, 7, 5,
		"%s shows no certificate in TLS, which tlsdestinations demands", s->line.host->name);
}

/* STARTTLS and its reply. GREETED: the peer is ready for the handshake. */
static enum greeted
ask_for_tls(struct session *s, const struct demand *d, struct outcome *o)
{
	struct smtp_reply reply;
	struct why why = WHY_NONE;
	enum result r;

	buf_add_string(&s->line.talk.out, "STARTTLS\r\n");
	r = talk_reply(&s->line.talk, session_limit(s, MINUTES(2)), &reply, NULL, &why);
	if (r != OK) {
		(void)lost(s, r, &why, o);
		return without_tls(s, d, r == ABSENT || r == MALFORMED ? RM_BLAME_PEER : RM_BLAME_SILENCE, o);
	}
	if (reply.code / 100 == 2)
		return GREETED;
	if (reply.code == 421)
		s->line.lost = true;
	(void)outcome_set(o, RM_TEMPORARY, RM_OF_PEER, 7, 0, "STARTTLS was refused: %.300s", reply.text);
	return without_tls(s, d, RM_BLAME_PEER, o);
}

static enum greeted
start_tls(struct session *s, const struct demand *d, struct outcome *o)
{
	enum greeted g;

	if ((s->line.offer.can & SMTP_CAN_STARTTLS) == 0) {
		(void)outcome_set(o, RM_TEMPORARY, RM_OF_PEER, 7, 4, "%s offers no TLS, which %s demands",
		    s->line.host->name, d->dane ? "its DANE record" : "tlsdestinations");
		(void)snprintf(s->line.how, sizeof s->line.how, "plain, not offered");
		return is_demanded(d) ? NEXT_ADDRESS : GREETED;
	}
	if ((g = ask_for_tls(s, d, o)) != GREETED || (g = go_secure(s, d, o)) != GREETED)
		return g;
	if (!shows_enough(s, d, o))
		return NEXT_ADDRESS;
	return hello(s, o) ? GREETED : NEXT_ADDRESS;
}

enum greeted
line_greet(struct session *s, enum greet_way way, struct outcome *o)
{
	static struct demand d;
	bool implicit = s->order.peer.implicit_tls != 0;
	enum greeted g = GREETED;

	s->line.lost = s->line.secure = false;
	s->line.n_served = 0;
	memset(&s->line.found, 0, sizeof s->line.found);
	s->line.tls_ms = 0;
	if (way != GREET_PLAIN)
		s->line.how[0] = '\0';
	if (!find_demand(s, &d, o))
		return NEXT_ADDRESS;
	d.nameless = way == GREET_NAMELESS;
	if (implicit && (g = go_secure(s, &d, o)) != GREETED)
		return g;
	if ((implicit && !shows_enough(s, &d, o)) || !greeting(s, o) || !hello(s, o))
		return NEXT_ADDRESS;
	if (!implicit && way != GREET_PLAIN && (d.dane || d.tls != RM_TLS_NEVER))
		g = start_tls(s, &d, o);
	if (g == GREETED && s->order.peer.auth && !line_log_in(s, o))
		return NEXT_ADDRESS;
	return g;
}
