/* postern explain: hosts, addresses and TLSA records as remote would find them now.
 * Trusts resolve for what is secure, as remote does.
 * Never connects to a host. */
#include "postern/explain.h"

#include "net/hosts.h"
#include "postern/door.h"
#include "sys/fd.h"

#include <stdio.h>
#include <string.h>

#define EXIT_RETURNED 100
#define EXIT_WAITS 111
#define TLSA_OCTETS 8192
#define SHOW(bytes) (int)(bytes).len, (const char *)(bytes).at

struct look {
	struct questions questions;
	const struct peer_order *order;
	struct hosts_wish wish;
	unsigned n_usable, n_failed;
};

static void
say_addresses(const struct host *h)
{
	uint8_t room[1000];
	struct buf text = BUF_OVER(room);

	for (unsigned i = 0; i < h->n; i++) {
		char address[HOST_ADDRESS_TEXT];

		host_address_print(&h->addresses[i], address);
		buf_format(&text, "%s%s", i > 0 ? ", " : "", address);
	}
	if (h->n > 0)
		explain_row("", "%.*s%s", SHOW(buf_bytes(&text)), h->secure ? " (vouched for by DNSSEC)" : "");
	if (h->n_unfit > 0)
		explain_row("", "%u of its addresses %s left out: of this host itself, of none or of many", h->n_unfit,
		    h->n_unfit == 1 ? "is" : "are");
	if (h->is_unusable)
		explain_row("", "can be no host: it counts as one that can't be reached");
	else if (h->n == 0 && h->n_unfit == 0)
		explain_row("", h->failed ? "no name server could say its addresses" : "has no address");
}

/* Usages 0 and 1 are for browsers' CAs and not for mail (RFC 7672 3.1.3). */
static bool
is_usable(struct bytes record)
{
	return record.len > 3 && (record.at[0] == 2 || record.at[0] == 3) && record.at[1] <= 1 && record.at[2] <= 2;
}

static unsigned
say_records(struct bytes records, const char *name, uint16_t port)
{
	unsigned n_usable = 0;
	struct bytes r;

	while (wire_take(&records, &r)) {
		uint8_t room[300];
		struct buf hex = BUF_OVER(room);

		for (size_t i = 3; i < r.len && i < 67; i++)
			buf_format(&hex, "%02x", r.at[i]);
		n_usable += is_usable(r);
		if (r.len > 3)
			explain_row("", "TLSA of _%u._tcp.%s: %u %u %u %.*s%s%s", port, name, r.at[0], r.at[1], r.at[2],
			    SHOW(buf_bytes(&hex)), r.len > 67 ? "..." : "",
			    is_usable(r) ? "" : " (can't be used for mail)");
	}
	return n_usable;
}

/* Why the host's TLSA records are not even asked for. */
static const char *
no_dane(const struct host *h, const struct rm_peer *p)
{
	if (p->dane == RM_DANE_OFF)
		return "the item dane is off";
	if (p->by_policy && p->tls == RM_TLS_NEVER)
		return "a ! line forbids TLS";
	if (p->dane == RM_DANE_AFTER && p->by_policy)
		return "a line of tlsdestinations decides";
	return h->vouched ? "DNSSEC does not vouch for its addresses" : "DNSSEC does not vouch for the MX records";
}

static void
say_policy(const struct look *l, const struct host *h, const char *why_not)
{
	uint8_t room[1900], names_room[600];
	struct buf text = BUF_OVER(room), names = BUF_OVER(names_room);
	struct bytes destination = l->order->destination, host = bytes_of_string(h->name);

	if (h->vouched && !bytes_equal_nocase(host, destination))
		buf_format(&names, "%s or ", h->name);
	buf_add(&names, destination);
	explain_demand(&l->order->policy, buf_string(&names), &text);
	explain_row("", "%.*s (no DANE: %s)", SHOW(buf_bytes(&text)), why_not);
}

/* Returns whether the host would be tried in earnest. */
static bool
say_demand(struct look *l, const struct host *h)
{
	const struct rm_peer *p = &l->order->peer;
	static uint8_t room[TLSA_OCTETS];
	struct buf records = BUF_OVER(room);

	if (!host_uses_dane(h, p)) {
		say_policy(l, h, no_dane(h, p));
		return true;
	}
	switch (host_tlsa(&l->questions, h, p->port, &records)) {
	case TLSA_FAILED:
		explain_row(
		    "", "is left out: whether it has TLSA records can't be found out, so it can't be verified (DANE)");
		return false;
	case TLSA_RECORDS:
		explain_row("",
		    say_records(buf_bytes(&records), h->base, p->port) > 0
			? "TLS, with a certificate that matches one of these records (DANE)"
			: "TLS, with any certificate: none of these records can be used (DANE)");
		return true;
	case TLSA_NONE:
		break;
	}
	say_policy(l, h, "it has no TLSA records");
	return true;
}

static void
say_host(struct look *l, const struct hosts *all, unsigned i, struct host *h)
{
	char about[16], mx[40] = "";
	bool usable = host_look_up(&l->questions, &l->wish, h);

	(void)snprintf(about, sizeof about, "host %u", i + 1);
	if (all->by_mx)
		(void)snprintf(mx, sizeof mx, ", MX %u", h->preference);
	explain_row(about, "%s%s%s", h->name, mx, all->by_mx && h->vouched ? " (vouched for by DNSSEC)" : "");
	if (strcmp(h->base, h->name) != 0 && domain_is_valid(bytes_of_string(h->base), false))
		explain_row("", "is an alias of %s", h->base);
	say_addresses(h);
	l->n_failed += h->failed;
	if (!usable)
		return;
	if (say_demand(l, h))
		l->n_usable++;
	else
		l->n_failed++;
}

static int
say_all(struct look *l, struct hosts *all)
{
	if (all->by_mx && all->is_me)
		explain_row("hosts", "this host is one of the MX hosts: it and those that are no better are left out");
	for (unsigned i = 0; i < all->n; i++)
		say_host(l, all, i, &all->list[i]);
	if (l->n_usable > 0) {
		explain_row("so", "it would be tried there%s",
		    all->n > 1 ? ", in this order; hosts of equal MX take turns" : "");
		return 0;
	}
	explain_row("so",
	    l->n_failed > 0 ? "it would wait: no host can be used now, but that may change"
			    : "returned: no host has a usable address");
	return l->n_failed > 0 ? EXIT_WAITS : EXIT_RETURNED;
}

int
explain_hosts(const char *run, const struct control *c, const struct peer_order *o)
{
	uint8_t names_room[600];
	struct buf names = BUF_OVER(names_room);
	static struct hosts all;
	struct look l = { .order = o };
	struct why why = WHY_NONE;
	enum result r;
	int door, status;

	peer_own_names(c, &names);
	l.wish = (struct hosts_wish){ o->destination, o->route.relay, buf_bytes(&names), o->peer.is_relay != 0 };
	if (admin_door(run, "resolve.admin", "resolve", &door, &why) != OK) {
		explain_row("hosts", "not looked up: %s", why.text);
		return EXIT_WAITS;
	}
	l.questions = QUESTIONS_BY(door);
	r = hosts_find(&l.questions, &l.wish, &all, &why);
	if (r == OK)
		status = say_all(&l, &all);
	else {
		explain_row("so", "%s: %s", r == REFUSED ? "returned" : "it would wait", why.text);
		status = r == REFUSED ? EXIT_RETURNED : EXIT_WAITS;
	}
	questions_end(&l.questions);
	fd_close(&door);
	return status;
}
