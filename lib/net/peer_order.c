/* From the tables to what remote is told of a peer.
 * Trusts its configuration; sender and recipient for no more than which lines apply.
 * Never takes a table that can't be read for one without a line. */
#include "net/peer_order.h"

#include <assert.h>
#include <string.h>

#define SMTP_PORT 25
#define SMTPS_PORT 465
#define QMTPS_PORT 6209

static_assert((int)TLS_MODE_NEVER == (int)RM_TLS_NEVER && (int)TLS_MODE_OPPORTUNISTIC == (int)RM_TLS_OPPORTUNISTIC, "");
static_assert((int)TLS_MODE_CERTIFICATE == (int)RM_TLS_CERTIFICATE && (int)TLS_MODE_CA == (int)RM_TLS_CA, "");
static_assert((int)TLS_MODE_MANDATORY == (int)RM_TLS_MANDATORY && (int)TLS_MODE_NAME == (int)RM_TLS_NAME, "");
static_assert((int)TLS_MODE_WILDCARD == (int)RM_TLS_WILDCARD && (int)TLS_MODE_PIN == (int)RM_TLS_PIN, "");
static_assert(TLS_PIN_MAX == RM_PIN_MAX, "");
static_assert((int)RELAY_PLAIN == (int)RM_PLAIN && (int)RELAY_LOGIN == (int)RM_LOGIN, "");
static_assert((int)RELAY_CRAM_MD5 == (int)RM_CRAM_MD5 && (int)RELAY_SCRAM_SHA_256 == (int)RM_SCRAM_SHA_256, "");

/* With its domain as the keys of the tables have it; as it is if that can't be. */
static struct bytes
normal_sender(struct bytes sender, struct peer_order *o, struct bytes *domain)
{
	struct buf room = BUF_OVER(o->sender_room);
	size_t at = bytes_find_last(sender, '@');

	*domain = bytes_skip(sender, at + 1);
	if (at == sender.len)
		return sender;
	buf_add(&room, bytes_first(sender, at + 1));
	if (domain_normalise(*domain, &room) != OK || room.failed)
		return sender;
	*domain = bytes_skip(buf_bytes(&room), at + 1);
	return buf_bytes(&room);
}

static uint8_t
dane_of(const struct control *c)
{
	struct bytes word = control_text(c, ITEM_DANE);

	return bytes_equal(word, BYTES("off"))  ? RM_DANE_OFF
	    : bytes_equal(word, BYTES("after")) ? RM_DANE_AFTER
						: RM_DANE_FIRST;
}

static void
take_policy(struct peer_order *o)
{
	struct tls_policy *p = &o->policy;

	o->peer.tls = (uint8_t)p->mode;
	o->peer.by_policy = p->by_line;
	o->peer.depth = p->depth;
	o->peer.pin_len = p->pin_len;
	memcpy(o->peer.pin, p->pin, p->pin_len);
	o->peer.port = p->port != 0 ? p->port : o->route.port != 0 ? o->route.port : SMTP_PORT;
	o->peer.implicit_tls = o->peer.port == SMTPS_PORT && p->mode != TLS_MODE_NEVER;
	o->ca = p->ca;
	o->ciphers = p->ciphers;
}

static void
fill_peer(const struct control *c, struct peer_order *o)
{
	take_policy(o);
	o->peer.is_relay = o->route.relay.len > 0;
	o->peer.dane = dane_of(c);
	if (o->route.user.len > 0)
		o->peer.auth = (uint8_t)relay_mechanisms_of(control_text(c, ITEM_RELAYMECHANISMS));
	o->peer.auth_plain = o->route.without_tls;
	o->peer.certificate = o->certificate.len > 0;
	o->peer.connect_ms = (uint32_t)control_number(c, ITEM_TIMEOUTCONNECT) * 1000;
	o->peer.idle_ms = (uint32_t)control_number(c, ITEM_TIMEOUTREMOTE) * 1000;
	o->helo = o->side.helo.len > 0 ? o->side.helo : control_text(c, ITEM_HELOHOST);
}

static enum result
find_all(const struct control *c, struct bytes sender, struct bytes sender_domain, struct peer_order *o)
{
	enum result r;

	if ((r = route_find(c, sender, o->destination, &o->route)) != OK ||
	    (r = route_local_side(c, sender, &o->side)) != OK ||
	    (r = route_certificate(c, sender, &o->certificate)) != OK)
		return r;
	o->policy_host = o->route.relay.len > 0 ? o->route.relay : o->destination;
	return tls_policy_find(c, o->policy_host, sender_domain, &o->policy);
}

enum result
peer_order_find(
    const struct control *c, struct bytes sender, struct bytes domain, struct peer_order *o, struct why *why)
{
	struct buf name;
	struct bytes sender_domain;
	enum result r;

	memset(o, 0, sizeof *o);
	name = BUF_OVER(o->destination_room);
	if (domain_normalise(domain, &name) != OK || name.failed ||
	    (!domain_is_valid(buf_bytes(&name), false) && !domain_is_literal(buf_bytes(&name))))
		return why_set(why, MALFORMED, "the recipient has no domain that can be looked up");
	o->destination = buf_bytes(&name);
	sender = normal_sender(sender, o, &sender_domain);
	if ((r = find_all(c, sender, sender_domain, o)) != OK)
		return why_set(why, BROKEN, "a table of routes or TLS policies can't be read");
	fill_peer(c, o);
	if (o->route.qmtp || o->policy.port == QMTPS_PORT)
		return why_set(why, AGAIN, "the route of %.*s is by QMTP, which this host does not speak",
		    (int)o->destination.len, (const char *)o->destination.at);
	return OK;
}

void
peer_own_names(const struct control *c, struct buf *names)
{
	static const enum control_item items[] = { ITEM_ME, ITEM_HELOHOST };

	for (size_t i = 0; i < nitems(items); i++)
		if (i == 0 || !bytes_equal_nocase(control_text(c, items[i]), control_text(c, ITEM_ME)))
			wire_put(names, control_text(c, items[i]));
}

void
peer_order_put(const struct peer_order *o, const struct control *c, struct buf *tail)
{
	const struct bytes texts[] = { o->destination, o->route.relay, o->helo, o->side.address, o->ca, o->ciphers,
		o->certificate };
	uint8_t room[600];
	struct buf names = BUF_OVER(room);

	static_assert(nitems(texts) == RM_PEER_FIELDS - 1, "and the names");
	for (size_t i = 0; i < nitems(texts); i++)
		wire_put(tail, texts[i]);
	peer_own_names(c, &names);
	wire_put(tail, buf_bytes(&names));
	tail->failed |= names.failed;
}
