/* What the connection rules say about a peer.
 * Trusts listen for who is connected, and the sealed rules.
 * Never takes a rule that can't be read for one that allows. */
#include "policy/client.h"

#include "control/rules.h"

#include <arpa/inet.h>
#include <stdio.h>

static void
apply_variables(struct client *c)
{
	const struct variables *v = &c->says;
	uint64_t max_recipients = variable_number(v, VAR_MAXRECIPIENTS, 0);

	if (variable_is_set(v, VAR_RELAYCLIENT)) {
		c->relays = true;
		c->relay_suffix = variable_text(v, VAR_RELAYCLIENT);
	}
	c->max_octets = variable_number(v, VAR_DATABYTES, c->max_octets);
	if (max_recipients > 0 && max_recipients < c->max_recipients)
		c->max_recipients = (uint32_t)max_recipients;
	c->tarpit_count = (uint32_t)variable_number(v, VAR_TARPITCOUNT, 0);
	c->tarpit_seconds = (uint32_t)variable_number(v, VAR_TARPITDELAY, 0);
	c->greet_seconds = (uint16_t)variable_number(v, VAR_GREETDELAY, 0);
	c->spf_level = (uint8_t)variable_number(v, VAR_SPF, 0);
	c->helo_check = variable_text(v, VAR_HELOCHECK);
}

enum result
client_meet(struct client *c, const struct settings *s, const struct lp_peer *peer, struct bytes host)
{
	struct rules_query q = { .host = host };
	size_t len = peer->family == LP_IPV4 ? 4 : peer->family == LP_IPV6 ? 16 : 0;
	struct bytes rule;
	enum result r;

	*c = (struct client){ .peer = *peer,
		.host = host,
		.settings = s,
		.max_octets = s->databytes,
		.max_recipients = s->max_recipients };
	c->is_local_program = len == 0;
	if (len == 0)
		(void)snprintf(c->name, sizeof c->name, "local");
	else if (inet_ntop(len == 4 ? AF_INET : AF_INET6, peer->remote, c->name, sizeof c->name) == NULL)
		return BROKEN;
	q.address = peer->remote;
	q.address_len = len;
	r = rules_find_in(s->control, &q, &rule);
	if (r != OK && r != ABSENT)
		return r;
	if (rules_denies(rule))
		return REFUSED;
	variables_decode(&c->says, rule, true);
	variables_decode(&c->says, s->variables, false);
	c->relays = c->is_local_program; /* who has an account here may send anywhere */
	apply_variables(c);
	c->is_lenient_network = len != 0 && control_in_networks(s->control, ITEM_LENIENTNETWORKS, peer->remote, len);
	c->excused_bare_lf = c->is_lenient_network ||
	    (len != 0 && control_in_networks(s->control, ITEM_BARELFNETWORKS, peer->remote, len));
	return OK;
}
