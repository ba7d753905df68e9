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

/* a line of the item, taken apart */
struct cut {
	enum recipients_form form;
	bool runs;
	uint8_t number;
	struct bytes domain, words;
};

static bool
cut_line(struct bytes line, struct cut *l)
{
	size_t end;

	if (line.len < RECIPIENTS_HEAD)
		return false;
	l->form = (enum recipients_form)(line.at[0] & ~RECIPIENTS_RUNS);
	l->runs = (line.at[0] & RECIPIENTS_RUNS) != 0;
	l->number = line.at[1];
	line = bytes_skip(line, RECIPIENTS_HEAD);
	end = bytes_find(line, '\0');
	l->domain = bytes_first(line, end);
	l->words = bytes_skip(line, end + 1);
	return true;
}

enum result
recipients_find(const struct control *c, struct bytes address, struct recipients_place *place)
{
	struct bytes at = control_lines(c, ITEM_RECIPIENTS), line, local, domain;
	size_t cut = bytes_find_last(address, '@');
	uint32_t n = 0;
	struct cut l;
	enum result r;

	local = bytes_first(address, cut);
	domain = bytes_skip(address, cut + 1);
	if (cut == address.len)
		domain = BYTES("localhost");
	while (control_next_line(&at, &line)) {
		if (n++ < place->n_lines || !cut_line(line, &l) || !is_domain_of(l.form, l.domain, domain))
			continue;
		place->n_lines = n;
		place->program = l.number;
		if (l.runs)
			return AGAIN;
		r = l.number == RECIPIENTS_NO_TABLE ? OK : find_in(c, l.number, local, domain);
		if (r != ABSENT)
			return r;
	}
	if (n > 0)
		return ABSENT;
	return c->fd < 0 ? BROKEN : OK;
}

bool
recipients_stem(struct bytes address, struct buf *stem)
{
	size_t at = bytes_find_last(address, '@');
	size_t cut = bytes_find(bytes_first(address, at), BREAK);

	if (cut >= at || cut + 1 == at)
		return false;
	buf_add(stem, bytes_first(address, cut + 1));
	buf_add(stem, bytes_skip(address, at));
	return !stem->failed;
}

struct bytes
recipients_program(const struct control *c, uint8_t program)
{
	struct bytes at = control_lines(c, ITEM_RECIPIENTS), line;
	struct cut l;

	while (control_next_line(&at, &line))
		if (cut_line(line, &l) && l.runs && l.number == program)
			return l.words;
	return BYTES_NONE;
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
