/* What the connection rules say about a peer.
 * Trusts listen for who is connected, and the sealed rules.
 * Never takes a rule that can't be read for one that allows. */
#include "policy/client.h"

#include "control/rules.h"

#include <arpa/inet.h>
#include <stdio.h>

bool
client_variable(const struct client *c, const char *name, struct bytes *value)
{
	return rules_variable(c->rule, name, value) || rules_variable(c->settings->variables, name, value);
}

static void
apply_variables(struct client *c)
{
	struct bytes value;
	uint64_t n;

	if (client_variable(c, "RELAYCLIENT", &value)) {
		c->relays = true;
		c->relay_suffix = value;
	}
	if (client_variable(c, "DATABYTES", &value) && bytes_to_number(value, UINT64_MAX, &n))
		c->max_octets = n;
	if (client_variable(c, "MAXRECIPIENTS", &value) && bytes_to_number(value, UINT32_MAX, &n) && n > 0 &&
	    n < c->max_recipients)
		c->max_recipients = (uint32_t)n;
	if (client_variable(c, "TARPITCOUNT", &value) && bytes_to_number(value, 100000, &n))
		c->tarpit_count = (uint32_t)n;
	if (client_variable(c, "TARPITDELAY", &value) && bytes_to_number(value, TARPIT_NOTORIOUS, &n))
		c->tarpit_seconds = (uint32_t)n;
	if (client_variable(c, "GREETDELAY", &value) && bytes_to_number(value, GREET_SECONDS_MAX, &n))
		c->greet_seconds = (uint16_t)n;
	if (client_variable(c, "SPF", &value) && bytes_to_number(value, 6, &n))
		c->spf_level = (uint8_t)n;
	if (client_variable(c, "HELOCHECK", &value))
		c->helo_check = value.at == NULL ? BYTES("") : value;
}

enum result
client_meet(struct client *c, const struct settings *s, const struct lp_peer *peer, struct bytes host)
{
	struct rules_query q = { .host = host };
	size_t len = peer->family == LP_IPV4 ? 4 : peer->family == LP_IPV6 ? 16 : 0;
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
	r = rules_find_in(s->control, &q, &c->rule);
	if (r != OK && r != ABSENT)
		return r;
	if (rules_denies(c->rule))
		return REFUSED;
	c->relays = c->is_local_program; /* who has an account here may send anywhere */
	apply_variables(c);
	c->excused_bare_lf = len != 0 && control_in_networks(s->control, ITEM_BARELFNETWORKS, peer->remote, len);
	return OK;
}
