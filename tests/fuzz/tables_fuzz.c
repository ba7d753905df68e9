/* Fuzz target: the tables for mail to other hosts, from their text to what remote is told.
 * Input: one octet that chooses the table, its text up to a zero, a sender up to a zero, a recipient's domain.
 * A finding is a crash, a table that was taken and can't be asked, or an answer that remote would not take. */
#include "control/decode.h"
#include "net/peer_order.h"

#include <stdlib.h>
#include <unistd.h>

#define TAIL_MAX 6144 /* of RM_PEER */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const enum control_item tables[] = { ITEM_SMTPROUTES, ITEM_QMTPROUTES, ITEM_AUTHSENDERS, ITEM_DOMAINIPS,
	ITEM_DOMAINCERTS, ITEM_TLSDESTINATIONS, ITEM_DANE, ITEM_RELAYMECHANISMS };

static void
must(bool fine)
{
	if (!fine)
		abort();
}

static bool
decode(struct control_source *s, enum control_item item, struct bytes text)
{
	struct control_data *to = &s->items[item];
	struct decoder d = { .source = s,
		.item = item,
		.schema = &control_schema[item],
		.file = "fuzz",
		.rest = text,
		.value = &to->value,
		.table = &to->table,
		.seen = &to->seen };

	decode_text(&d);
	return !d.failed && !d.value->failed && !d.table->failed;
}

static struct bytes
until_zero(struct bytes *rest)
{
	struct bytes text = bytes_first(*rest, bytes_find(*rest, '\0'));

	*rest = bytes_skip(*rest, text.len + 1);
	return text;
}

static void
look(const struct peer_order *o)
{
	must(o->peer.port > 0 && o->peer.tls <= RM_TLS_PIN && o->peer.dane <= RM_DANE_AFTER &&
	    o->peer.pin_len <= RM_PIN_MAX);
	must((o->peer.tls == RM_TLS_PIN) == (o->peer.pin_len > 0) || o->peer.tls == RM_TLS_NEVER);
	must(o->peer.is_relay == (o->route.relay.len > 0));
	must(o->peer.auth == 0 || (o->peer.is_relay && o->route.password.len > 0));
	must(o->ca.len == 0 || o->ca.at[0] == '/');
	must(o->certificate.len == 0 || o->certificate.at[0] == '/');
	must(o->helo.len > 0 && o->destination.len > 0);
}

static void
ask(const struct control *c, struct bytes sender, struct bytes domain)
{
	static uint8_t room[TAIL_MAX];
	struct buf tail = BUF_OVER(room);
	struct bytes fields[RM_PEER_FIELDS];
	struct why why = WHY_NONE;
	struct peer_order o;
	enum result r = peer_order_find(c, sender, domain, &o, &why);

	must(r == OK || r == MALFORMED || (r == AGAIN && why.text[0] != '\0'));
	if (r != OK)
		return;
	look(&o);
	if (domain.len > DOMAIN_MAX)
		return;
	peer_order_put(&o, c, &tail);
	must(!tail.failed && wire_take_all(buf_bytes(&tail), fields, RM_PEER_FIELDS));
}

static void
walk(const struct control_source *s, enum control_item item)
{
	struct bytes table = buf_bytes(&s->items[item].table), key, address;
	struct mail_route r;
	struct tls_policy p;

	if (item == ITEM_TLSDESTINATIONS)
		while (tls_policy_next(&table, &p))
			;
	else if (item == ITEM_DOMAINIPS)
		while (route_next_local_side(&table, &key, &address))
			must(address.len > 0);
	else if (item <= ITEM_AUTHSENDERS)
		while (route_next(&table, &key, &r))
			must((r.user.len > 0) == (r.password.len > 0));
	else
		return;
	must(table.len == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct control_source s = {
		.from = { .etc = "/etc", .service = "send", .readers = BY_SEND }, .etc_fd = -1, .service_fd = -1
	};
	struct bytes rest = bytes_of(data, size), text;
	struct why why = WHY_NONE;
	struct control c;
	enum control_item item;
	int fd;

	if (size < 1)
		return 0;
	for (unsigned i = 0; i < N_CONTROL_ITEMS; i++)
		s.items[i] = (struct control_data){ .value = buf_growing(1u << 22), .table = buf_growing(1u << 23) };
	item = tables[data[0] % nitems(tables)];
	rest = bytes_skip(rest, 1);
	text = until_zero(&rest);
	must(decode(&s, ITEM_ME, BYTES("mx.example.org")) && decode(&s, ITEM_HELOHOST, BYTES("helo.example.org")));
	if (decode(&s, item, text)) {
		struct bytes sender = until_zero(&rest);

		walk(&s, item);
		must(control_seal(&s, "send", &fd, &why) == OK && control_open(&c, fd, "send", &why) == OK);
		ask(&c, sender, rest);
		control_close(&c);
		(void)close(fd);
	}
	control_forget(&s);
	return 0;
}
