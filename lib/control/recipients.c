/* Looking up for whom mail is taken.
 * Trusts the tables, which were checked when they were made; the address comes from the network.
 * Never takes a table that can't be read for one without the address. */
#include "control/recipients.h"

#include <string.h>

#define BREAK '-' /* as qmail's users have it */
#define KEY_ROOM 1100

static bool
is_domain_of(enum recipients_form form, struct bytes listed, struct bytes domain)
{
	if (listed.len == 0)
		return true; /* any */
	if (bytes_equal_nocase(listed, domain))
		return true;
	return form == RECIPIENTS_BELOW && domain.len > listed.len && bytes_ends_nocase(domain, listed) &&
	    domain.at[domain.len - listed.len - 1] == '.';
}

static enum result
look_up(const struct control *c, uint8_t table, struct bytes local, struct bytes domain)
{
	uint8_t room[KEY_ROOM];
	struct buf key = BUF_OVER(room);
	struct bytes none;

	buf_add_octet(&key, table);
	buf_add_octet(&key, ':');
	buf_add(&key, local);
	buf_add_octet(&key, '@');
	buf_add(&key, domain);
	return key.failed ? ABSENT : control_find(c, ITEM_RECIPIENTS, buf_bytes(&key), &none);
}

/* The address itself, then list- for list-anything. */
static enum result
find_in(const struct control *c, uint8_t table, struct bytes local, struct bytes domain)
{
	size_t stem = bytes_find(local, BREAK);
	enum result r = look_up(c, table, local, domain);

	return r == ABSENT && stem < local.len ? look_up(c, table, bytes_first(local, stem + 1), domain) : r;
}

enum result
recipients_find(const struct control *c, struct bytes address)
{
	struct bytes at = control_lines(c, ITEM_RECIPIENTS), line, local, domain;
	size_t cut = bytes_find_last(address, '@');
	bool any = false;
	enum result r;

	local = bytes_first(address, cut);
	domain = bytes_skip(address, cut + 1);
	if (cut == address.len)
		domain = BYTES("localhost");
	while (control_next_line(&at, &line)) {
		any = true;
		if (line.len < RECIPIENTS_HEAD ||
		    !is_domain_of((enum recipients_form)line.at[0], bytes_skip(line, RECIPIENTS_HEAD), domain))
			continue;
		r = line.at[1] == RECIPIENTS_NO_TABLE ? OK : find_in(c, line.at[1], local, domain);
		if (r != ABSENT)
			return r;
	}
	if (any)
		return ABSENT;
	return c->fd < 0 ? BROKEN : OK;
}

bool
recipients_key(struct bytes address, struct buf *key)
{
	size_t at;

	if (address.len > 0 && address.at[0] == ':')
		address = bytes_skip(address, 1);
	at = bytes_find_last(address, '@');
	if (at == 0 || at + 1 >= address.len || address.len > 900)
		return false;
	for (size_t i = 0; i < address.len; i++)
		if (address.at[i] <= ' ' || address.at[i] == 0x7f)
			return false;
	buf_add_octet(key, ':');
	for (size_t i = 0; i < address.len; i++)
		buf_add_octet(key, ascii_lower(address.at[i]));
	return !key->failed;
}
