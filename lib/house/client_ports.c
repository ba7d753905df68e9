/* Ports out of the tables for mail to other hosts, and of the list of name servers.
 * Trusts root's control files, which were checked for their form.
 * Never names a port that no line has. */
#include "house/client_ports.h"

#include "control/control.h"
#include "control/route.h"
#include "control/tls_policy.h"

static void
add(struct buf *text, uint16_t port, uint8_t seen[65536 / 8])
{
	if (port == 0 || (seen[port / 8] & 1u << port % 8) != 0)
		return;
	seen[port / 8] |= (uint8_t)(1u << port % 8);
	buf_format(text, "%s%u", text->len > 0 ? "," : "", port);
}

void
client_ports_name(struct buf *text, const struct control_source *s)
{
	static const enum control_item items[] = { ITEM_SMTPROUTES, ITEM_AUTHSENDERS };
	uint8_t seen[65536 / 8] = { 0 };
	struct bytes table, key;
	struct mail_route route;
	struct tls_policy policy;

	for (size_t i = 0; i < nitems(items); i++) {
		table = buf_bytes(&s->items[items[i]].table);
		while (route_next(&table, &key, &route))
			add(text, route.port, seen);
	}
	table = buf_bytes(&s->items[ITEM_TLSDESTINATIONS].table);
	while (tls_policy_next(&table, &policy))
		add(text, policy.port, seen);
}

void
resolver_ports_name(struct buf *text, const struct control_source *s)
{
	uint8_t seen[65536 / 8] = { 0 };
	struct bytes lines = buf_bytes(&s->items[ITEM_FORWARDERS].value), line;
	uint64_t port;

	while (control_next_line(&lines, &line))
		if (bytes_to_number(bytes_skip(line, bytes_find(line, '@') + 1), 65535, &port))
			add(text, (uint16_t)port, seen);
}
