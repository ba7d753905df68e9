/* From a destination to hosts and addresses.
 * Trusts resolve for what is secure; a record for nothing else: it may name any host, and this one.
 * Never gives a failed question as "there is none". */
#include "remote/questions.h"
#include "remote/remote.h"

#include "net/domain.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

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

static bool
one_host(struct hosts *h, struct bytes name, bool vouched, struct outcome *o)
{
	h->n = 1;
	h->list[0].vouched = vouched;
	return set_name(h->list[0].name, name) && name.len > 0
	    ? true
	    : outcome_set(o, RM_PERMANENT, RM_OF_PEER, 1, 2, "the name of the host is too long");
}

static bool
from_records(const struct order *d, const struct answer *a, struct hosts *h, struct outcome *o)
{
	static struct mx_list list;

	mx_order(&list, a->records, d->own_names, random_number);
	if (list.is_null)
		return outcome_set(o, RM_PERMANENT, RM_OF_PEER, 1, 10, "the domain %.*s takes no mail (null MX)",
		    (int)d->destination.len, (const char *)d->destination.at);
	if (list.n == 0)
		return list.is_me
		    ? outcome_set(o, RM_PERMANENT, RM_OF_PEER, 4, 6,
			  "mail for %.*s would come back: by its MX records this host is the best one, but it does not "
			  "take it as local",
			  (int)d->destination.len, (const char *)d->destination.at)
		    : outcome_set(o, RM_PERMANENT, RM_OF_PEER, 4, 4, "no MX record of %.*s has a valid name",
			  (int)d->destination.len, (const char *)d->destination.at);
	for (unsigned i = 0; i < list.n; i++) {
		(void)set_name(h->list[i].name, bytes_of_string(list.hosts[i].name));
		h->list[i].vouched = a->head.secure != 0;
	}
	h->n = list.n;
	return true;
}

static bool
failed_answer(const struct order *d, const struct answer *a, struct outcome *o)
{
	static const char *const texts[] = {
		[RS_FAILED] = "no name server could say which hosts take mail for",
		[RS_BOGUS] = "DNSSEC: forged or broken MX records of",
	};
	const char *text = a->head.outcome == RS_BOGUS ? texts[RS_BOGUS] : texts[RS_FAILED];

	if (a->head.outcome == RS_BAD_QUESTION)
		return outcome_set(o, RM_PERMANENT, RM_OF_PEER, 1, 2, "%.*s is no name of a domain",
		    (int)d->destination.len, (const char *)d->destination.at);
	return outcome_set(o, RM_TEMPORARY, RM_OF_PEER, 4, 3, "%s %.*s", text, (int)d->destination.len,
	    (const char *)d->destination.at);
}

bool
hosts_find(const struct order *d, struct hosts *h, struct outcome *o)
{
	static const enum rs_type types[] = { RS_MX };
	static struct answer mx;
	struct answer *answers[] = { &mx };
	char name[MX_NAME_MAX + 1];

	memset(h, 0, sizeof *h);
	if (d->peer.is_relay)
		return one_host(h, d->relay, true, o);
	if (domain_is_literal(d->destination))
		return one_host(h, d->destination, true, o);
	if (!domain_is_valid(d->destination, false) || !set_name(name, d->destination))
		return outcome_set(o, RM_PERMANENT, RM_OF_PEER, 1, 2, "%.*s is no name of a domain",
		    (int)d->destination.len, (const char *)d->destination.at);
	questions_ask(name, types, answers, 1);
	switch (mx.head.outcome) {
	case RS_FOUND:
		return from_records(d, &mx, h, o);
	case RS_NO_DATA: /* RFC 5321 5.1: the domain itself is its host */
		return one_host(h, d->destination, mx.head.secure != 0, o);
	case RS_NO_NAME:
		return outcome_set(o, RM_PERMANENT, RM_OF_PEER, 1, 2, "there is no domain %s", name);
	default:
		return failed_answer(d, &mx, o);
	}
}

/* ---- which addresses ---- */

static void
add_addresses(const struct order *d, struct host *h, const struct answer *a, size_t len, unsigned max)
{
	struct bytes rest = a->records, record;

	while (a->head.outcome == RS_FOUND && h->n < max && wire_take(&rest, &record)) {
		struct address *one = &h->addresses[h->n];

		if (record.len != len)
			continue;
		*one = (struct address){ .len = (uint8_t)len };
		memcpy(one->octets, record.at, len);
		if (d->peer.is_relay || address_is_foreign(one))
			h->n++;
	}
}

/* v6, v4, v6, … so that one family that is not connected costs one head start, not one for each address */
static void
mix_families(struct host *h, unsigned n_v6)
{
	struct address mixed[HOST_ADDRESSES];
	unsigned six = 0, four = n_v6;

	for (unsigned i = 0; i < h->n; i++)
		mixed[i] = (i % 2 == 0 && six < n_v6) || four == h->n ? h->addresses[six++] : h->addresses[four++];
	memcpy(h->addresses, mixed, h->n * sizeof mixed[0]);
}

static void
set_base(struct host *h, const struct answer *a)
{
	(void)snprintf(h->base, sizeof h->base, "%s", h->name);
	if (a->head.outcome == RS_FOUND && a->canonical.len > 0)
		(void)set_name(h->base, a->canonical);
}

static bool
literal(struct host *h)
{
	struct bytes name = bytes_of_string(h->name);
	size_t len;

	h->n = 1;
	(void)snprintf(h->base, sizeof h->base, "%s", h->name);
	if (address_parse(name, &h->addresses[0]))
		return true;
	if (!domain_literal_address(name, h->addresses[0].octets, &len)) {
		h->n = 0;
		return false;
	}
	h->addresses[0].len = (uint8_t)len;
	return true;
}

bool
host_look_up(const struct order *d, struct host *h)
{
	static const enum rs_type types[] = { RS_AAAA, RS_A };
	static struct answer six, four;
	struct answer *answers[] = { &six, &four };
	unsigned n_v6;

	h->looked_up = true;
	if (literal(h))
		return true;
	questions_ask(h->name, types, answers, nitems(types));
	h->failed = six.head.outcome == RS_FAILED || six.head.outcome == RS_BOGUS || four.head.outcome == RS_FAILED ||
	    four.head.outcome == RS_BOGUS;
	h->secure = six.head.secure && four.head.secure && !h->failed;
	add_addresses(d, h, &six, 16, HOST_ADDRESSES / 2);
	n_v6 = h->n;
	add_addresses(d, h, &four, 4, HOST_ADDRESSES);
	set_base(h, four.head.outcome == RS_FOUND ? &four : &six);
	if (n_v6 > 0 && n_v6 < h->n)
		mix_families(h, n_v6);
	return h->n > 0;
}

enum tlsa_says
host_tlsa(const struct host *h, uint16_t port, struct buf *records)
{
	static const enum rs_type types[] = { RS_TLSA };
	static struct answer tlsa;
	struct answer *answers[] = { &tlsa };
	const char *bases[] = { h->base, h->name };
	char name[MX_NAME_MAX + 32];

	for (size_t i = 0; i < (strcmp(h->base, h->name) == 0 ? 1 : nitems(bases)); i++) { /* RFC 7672 2.2.2 */
		if (!h->secure || snprintf(name, sizeof name, "_%u._tcp.%s", port, bases[i]) > MX_NAME_MAX)
			return TLSA_NONE;
		questions_ask(name, types, answers, 1);
		if (tlsa.head.outcome == RS_FAILED || tlsa.head.outcome == RS_BOGUS)
			return TLSA_FAILED;
		if (tlsa.head.outcome == RS_FOUND && tlsa.head.secure) {
			buf_add(records, tlsa.records);
			return records->failed ? TLSA_FAILED : TLSA_RECORDS;
		}
	}
	return TLSA_NONE;
}
