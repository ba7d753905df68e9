/* From a destination to hosts and addresses.
 * Trusts resolve for what is secure; a record for nothing else: it may name any host, and this one.
 * Never gives a failed question as "there is none". */
#include "net/hosts.h"

#include "net/domain.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define SHOW(bytes) (int)(bytes).len, (const char *)(bytes).at

static uint32_t
random_number(void)
{
	uint32_t n = 0;

	return getrandom(&n, sizeof n, 0) == (ssize_t)sizeof n ? n : 0;
}

static bool
set_name(char to[MX_NAME_MAX + 1], struct bytes name)
{
	if (name.len > MX_NAME_MAX)
		return false;
	memcpy(to, name.at, name.len);
	to[name.len] = '\0';
	return true;
}

/* ---- which hosts ---- */

/* Sets the status and returns the result, for why_set. */
static enum result
fails(struct hosts *h, enum result r, uint8_t subject, uint8_t detail)
{
	h->status[0] = subject;
	h->status[1] = detail;
	return r;
}

static enum result
one_host(struct hosts *h, struct bytes name, bool vouched, struct why *why)
{
	h->n = 1;
	h->list[0].vouched = vouched;
	if (name.len > 0 && set_name(h->list[0].name, name))
		return OK;
	return why_set(why, fails(h, REFUSED, 1, 2), "the name of the host is too long");
}

static enum result
no_host_of(const struct hosts_wish *w, const struct mx_list *list, struct hosts *h, struct why *why)
{
	if (list->is_null)
		return why_set(
		    why, fails(h, REFUSED, 1, 10), "the domain %.*s takes no mail (null MX)", SHOW(w->destination));
	if (list->is_me)
		return why_set(why, fails(h, REFUSED, 4, 6),
		    "mail for %.*s would come back: by its MX records this host is the best one, but it does not "
		    "take it as local",
		    SHOW(w->destination));
	return why_set(why, fails(h, AGAIN, 4, 4), "no MX record of %.*s can be read", SHOW(w->destination));
}

static enum result
from_records(const struct hosts_wish *w, const struct answer *a, struct hosts *h, struct why *why)
{
	static struct mx_list list;

	mx_order(&list, a->records, w->own_names, random_number);
	h->by_mx = true;
	h->is_me = list.is_me;
	if (list.is_null || list.n == 0)
		return no_host_of(w, &list, h, why);
	for (unsigned i = 0; i < list.n; i++) {
		(void)set_name(h->list[i].name, bytes_of_string(list.hosts[i].name));
		h->list[i].preference = list.hosts[i].preference;
		h->list[i].vouched = a->head.secure != 0;
		h->list[i].is_unusable = list.hosts[i].is_unusable;
	}
	h->n = list.n;
	return OK;
}

static enum result
no_domain(const struct hosts_wish *w, struct hosts *h, struct why *why)
{
	return why_set(why, fails(h, REFUSED, 1, 2), "%.*s is no name of a domain", SHOW(w->destination));
}

enum result
hosts_find(struct questions *q, const struct hosts_wish *w, struct hosts *h, struct why *why)
{
	static const enum rs_type types[] = { RS_MX };
	static struct answer mx;
	struct answer *answers[] = { &mx };
	char name[MX_NAME_MAX + 1];

	memset(h, 0, sizeof *h);
	if (w->is_relay)
		return one_host(h, w->relay, true, why);
	if (domain_is_literal(w->destination))
		return one_host(h, w->destination, true, why);
	if (!domain_is_valid(w->destination, false) || !set_name(name, w->destination))
		return no_domain(w, h, why);
	questions_ask(q, name, types, answers, 1);
	switch (mx.head.outcome) {
	case RS_FOUND:
		return from_records(w, &mx, h, why);
	case RS_NO_DATA: /* RFC 5321 5.1: the domain itself is its host */
		return one_host(h, w->destination, mx.head.secure != 0, why);
	case RS_NO_NAME:
		return why_set(why, fails(h, REFUSED, 1, 2), "there is no domain %s", name);
	case RS_BAD_QUESTION:
		return no_domain(w, h, why);
	case RS_BOGUS:
		return why_set(why, fails(h, AGAIN, 4, 3),
		    "DNSSEC: forged or broken MX records of %s. If it is so for every domain, the name servers of the "
		    "item "
		    "forwarders do not pass DNSSEC on",
		    name);
	default:
		return why_set(
		    why, fails(h, AGAIN, 4, 3), "no name server could say which hosts take mail for %s", name);
	}
}

/* ---- which addresses ---- */

static void
add_addresses(const struct hosts_wish *w, struct host *h, const struct answer *a, size_t len, unsigned max)
{
	struct bytes rest = a->records, record;

	while (a->head.outcome == RS_FOUND && h->n < max && wire_take(&rest, &record)) {
		struct host_address *one = &h->addresses[h->n];

		if (record.len != len)
			continue;
		*one = (struct host_address){ .len = (uint8_t)len };
		memcpy(one->octets, record.at, len);
		if (w->is_relay || host_address_is_foreign(one))
			h->n++;
		else
			h->n_unfit++;
	}
}

/* v6, v4, v6, … so that one family that is not connected costs one head start, not one for each address */
static void
mix_families(struct host *h, unsigned n_v6)
{
	struct host_address mixed[HOST_ADDRESSES];
	unsigned six = 0, four = n_v6;

	for (unsigned i = 0; i < h->n; i++)
		mixed[i] = (i % 2 == 0 && six < n_v6) || four == h->n ? h->addresses[six++] : h->addresses[four++];
	memcpy(h->addresses, mixed, h->n * sizeof mixed[0]);
}

static void
set_base(struct host *h, const struct answer *a)
{
	(void)snprintf(h->base, sizeof h->base, "%s", h->name);
	if (a != NULL && a->head.outcome == RS_FOUND && a->canonical.len > 0)
		(void)set_name(h->base, a->canonical);
}

static bool
is_literal(struct host *h)
{
	struct bytes name = bytes_of_string(h->name);
	size_t len;

	if (host_address_parse(name, &h->addresses[0]))
		return true;
	if (!domain_literal_address(name, h->addresses[0].octets, &len))
		return false;
	h->addresses[0].len = (uint8_t)len;
	return true;
}

static bool
is_failed(const struct answer *a)
{
	return a->head.outcome == RS_FAILED || a->head.outcome == RS_BOGUS;
}

/* An alias that leads out of what DNSSEC vouches for is itself vouched for: TLSA records at its own name count (RFC 7672
 * 2.2.2), and no other name does. */
static void
vouch_for_alias(struct questions *q, struct host *h)
{
	static const enum rs_type types[] = { RS_CNAME };
	static struct answer alias;
	struct answer *answers[] = { &alias };

	if (h->n == 0 || h->secure || !h->vouched || strcmp(h->base, h->name) == 0)
		return;
	questions_ask(q, h->name, types, answers, 1);
	if (is_failed(&alias)) {
		h->failed = true;
		h->n = 0;
	}
	if (alias.head.outcome != RS_FOUND || !alias.head.secure)
		return;
	h->secure = true;
	set_base(h, NULL);
}

/* One kind of address that can't be had takes nothing from the other: who keeps an answer back, or spoils it, must not be
 * rid of DANE by that. */
bool
host_look_up(struct questions *q, const struct hosts_wish *w, struct host *h)
{
	static const enum rs_type types[] = { RS_AAAA, RS_A };
	static struct answer six, four;
	struct answer *answers[] = { &six, &four };
	unsigned n_v6;

	h->looked_up = true;
	set_base(h, NULL);
	h->failed = h->is_unusable;
	if (h->is_unusable)
		return false;
	if (is_literal(h)) {
		h->n = w->is_relay || host_address_is_foreign(&h->addresses[0]);
		h->n_unfit = 1 - h->n;
		return h->n > 0;
	}
	questions_ask(q, h->name, types, answers, nitems(types));
	h->failed = is_failed(&six) || is_failed(&four);
	add_addresses(w, h, &six, 16, HOST_ADDRESSES / 2);
	n_v6 = h->n;
	add_addresses(w, h, &four, 4, HOST_ADDRESSES);
	h->secure = h->n > 0 && (six.head.secure || is_failed(&six)) && (four.head.secure || is_failed(&four));
	set_base(h, four.head.outcome == RS_FOUND ? &four : &six);
	vouch_for_alias(q, h);
	if (n_v6 > 0 && n_v6 < h->n)
		mix_families(h, n_v6);
	return h->n > 0;
}

bool
host_uses_dane(const struct host *h, const struct rm_peer *p)
{
	bool counts = p->dane == RM_DANE_FIRST || (p->dane == RM_DANE_AFTER && !p->by_policy);

	return counts && !(p->by_policy && p->tls == RM_TLS_NEVER) && h->vouched && h->secure;
}

enum tlsa_says
host_tlsa(struct questions *q, const struct host *h, uint16_t port, struct buf *records)
{
	static const enum rs_type types[] = { RS_TLSA };
	static struct answer tlsa;
	struct answer *answers[] = { &tlsa };
	const char *bases[] = { h->base, h->name };
	char name[MX_NAME_MAX + 32];

	for (size_t i = 0; i < (strcmp(h->base, h->name) == 0 ? 1 : nitems(bases)); i++) { /* RFC 7672 2.2.2 */
		if (!h->secure || snprintf(name, sizeof name, "_%u._tcp.%s", port, bases[i]) > MX_NAME_MAX)
			return TLSA_NONE;
		questions_ask(q, name, types, answers, 1);
		if (tlsa.head.outcome == RS_FAILED || tlsa.head.outcome == RS_BOGUS)
			return TLSA_FAILED;
		if (tlsa.head.outcome == RS_FOUND && tlsa.head.secure) {
			buf_add(records, tlsa.records);
			return records->failed ? TLSA_FAILED : TLSA_RECORDS;
		}
	}
	return TLSA_NONE;
}
