/* Look-ups of routes.
 * Trusts the sealed tables for their form no further than a length.
 * Never takes a table that can't be read for one without a line. */
#include "control/route.h"

#include "base/le.h"

#include <string.h>

#define ROUTE_HEAD 3 /* as decode_routes.c writes it: 2 octets of port, 1 of flags */

static struct bytes
domain_of(struct bytes address)
{
	size_t at = bytes_find_last(address, '@');

	return bytes_skip(address, at < address.len ? at + 1 : at);
}

/* Texts that end with a zero, one after the other. */
static struct bytes
take_text(struct bytes *rest)
{
	struct bytes text = bytes_first(*rest, bytes_find(*rest, '\0'));

	*rest = bytes_skip(*rest, text.len + 1);
	return text;
}

static enum result
take_route(struct bytes data, struct mail_route *r)
{
	struct bytes rest = bytes_skip(data, ROUTE_HEAD);

	if (data.len < ROUTE_HEAD)
		return BROKEN;
	r->port = le16_get(data.at);
	r->without_tls = data.at[2] != 0;
	r->relay = take_text(&rest);
	r->user = take_text(&rest);
	r->password = take_text(&rest);
	return OK;
}

/* The domain, each .suffix of it, then `last` if that is not null: calls look() until it says anything but ABSENT. */
static enum result
by_suffix(const struct control *c, struct bytes domain, const char *last,
    enum result (*look)(const struct control *c, struct bytes key, void *context), void *context)
{
	enum result r = domain.len > 0 ? look(c, domain, context) : ABSENT;

	for (size_t i = 1; r == ABSENT && i < domain.len; i++)
		if (domain.at[i] == '.')
			r = look(c, bytes_skip(domain, i), context);
	return r == ABSENT && last != NULL ? look(c, bytes_of_string(last), context) : r;
}

struct one_item {
	enum control_item item;
	struct bytes found, key;
};

static enum result
look_in_item(const struct control *c, struct bytes key, void *context)
{
	struct one_item *one = context;

	one->key = key;
	return control_find(c, one->item, key, &one->found);
}

/* qmtproutes before smtproutes, key by key */
static enum result
look_in_routes(const struct control *c, struct bytes key, void *context)
{
	struct mail_route *route = context;
	struct bytes data;
	enum result r = control_find(c, ITEM_QMTPROUTES, key, &data);

	route->key = key;
	route->qmtp = r == OK;
	route->table = route->qmtp ? "qmtproutes" : "smtproutes";
	if (r == ABSENT)
		r = control_find(c, ITEM_SMTPROUTES, key, &data);
	return r == OK ? take_route(data, route) : r;
}

static enum result
find_by_sender(const struct control *c, struct bytes sender, struct mail_route *route)
{
	struct bytes domain = domain_of(sender);
	struct one_item one = { ITEM_AUTHSENDERS, BYTES_NONE, BYTES_NONE };
	enum result r = ABSENT;

	if (sender.len > 0) {
		r = look_in_item(c, sender, &one);
		if (r == ABSENT && domain.len > 0)
			r = look_in_item(c, bytes_skip(sender, sender.len - domain.len - 1), &one);
	}
	for (size_t i = 1; r == ABSENT && i < domain.len; i++)
		if (domain.at[i] == '.')
			r = look_in_item(c, bytes_skip(domain, i), &one);
	if (r == ABSENT)
		r = look_in_item(c, BYTES(""), &one);
	route->table = "authsenders";
	route->key = one.key;
	if (r == OK && (r = take_route(one.found, route)) == OK && route->relay.len == 0)
		return ABSENT; /* a line without a relay decides nothing */
	return r;
}

enum result
route_find(const struct control *c, struct bytes sender, struct bytes domain, struct mail_route *route)
{
	enum result r;

	memset(route, 0, sizeof *route);
	r = find_by_sender(c, sender, route);
	if (r == ABSENT && sender.len == 0)
		r = look_in_routes(c, BYTES("!@"), route);
	if (r == ABSENT)
		r = by_suffix(c, domain, "", look_in_routes, route);
	if (r != ABSENT)
		return r;
	memset(route, 0, sizeof *route);
	return OK;
}

enum result
route_local_side(const struct control *c, struct bytes sender, struct local_side *l)
{
	struct one_item one = { ITEM_DOMAINIPS, BYTES_NONE, BYTES_NONE };
	enum result r = by_suffix(c, domain_of(sender), "*", look_in_item, &one);

	l->address = r == OK ? take_text(&one.found) : BYTES_NONE;
	l->helo = r == OK ? take_text(&one.found) : BYTES_NONE;
	return r == ABSENT ? OK : r;
}

enum result
route_certificate(const struct control *c, struct bytes sender, struct bytes *certificate)
{
	struct one_item one = { ITEM_DOMAINCERTS, BYTES_NONE, BYTES_NONE };
	enum result r = by_suffix(c, domain_of(sender), "*", look_in_item, &one);

	*certificate = r == OK ? one.found : BYTES_NONE;
	return r == ABSENT ? OK : r;
}

static bool
take_record(struct bytes *table, struct bytes *key, struct bytes *data)
{
	size_t key_len, data_len;

	if (table->len < 8)
		return false;
	key_len = le32_get(table->at);
	data_len = le32_get(table->at + 4);
	*key = bytes_first(bytes_skip(*table, 8), key_len);
	*data = bytes_first(bytes_skip(*table, 8 + key_len), data_len);
	*table = bytes_skip(*table, 8 + key_len + data_len);
	return true;
}

bool
route_next(struct bytes *table, struct bytes *key, struct mail_route *r)
{
	struct bytes data;

	memset(r, 0, sizeof *r);
	return take_record(table, key, &data) && take_route(data, r) == OK;
}

bool
route_next_local_side(struct bytes *table, struct bytes *key, struct bytes *address)
{
	struct bytes data;

	if (!take_record(table, key, &data))
		return false;
	*address = take_text(&data);
	return true;
}

const char *const relay_mechanism_names[N_RELAY_MECHANISMS] = {
	[RELAY_PLAIN] = "PLAIN",
	[RELAY_LOGIN] = "LOGIN",
	[RELAY_CRAM_MD5] = "CRAM-MD5",
	[RELAY_SCRAM_SHA_256] = "SCRAM-SHA-256",
};

unsigned
relay_mechanisms_of(struct bytes line)
{
	struct bytes word;
	unsigned all = 0;

	while (bytes_split(&line, ' ', &word)) {
		unsigned one = 0;

		for (unsigned i = 0; i < N_RELAY_MECHANISMS; i++)
			if (bytes_equal_nocase(word, bytes_of_string(relay_mechanism_names[i])))
				one = 1u << i;
		if (word.len > 0 && one == 0)
			return 0;
		all |= one;
	}
	return all;
}
