/* Reading a process's sealed configuration.
 * Trusts that the descriptor comes from warden and is sealed; checks every length in it nevertheless.
 * Never parses a control file's text, never opens anything, never allocates. */
#include "control/control.h"
#include "control/format.h"

#include <string.h>

enum result
control_open(struct control *c, int fd, const char *process, struct why *why)
{
	unsigned reader = control_reader_of(process);
	struct bytes head = BYTES_NONE;
	size_t magic = sizeof CONTROL_MAGIC;

	*c = CONTROL_NONE;
	if (reader == 0)
		return why_set(why, BROKEN, "%s has no configuration", process);
	if (cdb_init(&c->db, fd) != 0)
		return why_errno(why, BROKEN, "mapping the configuration");
	c->fd = fd;
	if (cdb_find(&c->db, CONTROL_HEAD_KEY, 1) > 0)
		head = bytes_of(cdb_getdata(&c->db), cdb_datalen(&c->db));
	if (head.len != magic + 8 || memcmp(head.at, CONTROL_MAGIC, magic) != 0 ||
	    le32_get(head.at + magic) != reader || le32_get(head.at + magic + 4) != control_fingerprint(reader)) {
		control_close(c);
		return why_set(why, MALFORMED, "the configuration was not made for this version of %s", process);
	}
	return OK;
}

void
control_close(struct control *c)
{
	if (c->fd >= 0)
		cdb_free(&c->db);
	users_table_close(&c->users);
	*c = CONTROL_NONE;
}

enum result
control_take_users(struct control *c, int fd, struct why *why)
{
	struct users_table next;
	enum result r = users_table_open(&next, fd, why);

	if (r != OK)
		return r;
	users_table_close(&c->users);
	c->users = next;
	return OK;
}

/* The search leaves its place in the struct, so each has its own copy. */
static enum result
find(const struct control *c, struct bytes key, struct bytes *value)
{
	struct cdb db = c->db;
	const void *at;
	int found;

	if (c->fd < 0)
		return BROKEN;
	found = cdb_find(&db, key.at, (unsigned)key.len);
	if (found == 0)
		return ABSENT;
	if (found < 0 || (at = cdb_getdata(&db)) == NULL)
		return BROKEN;
	*value = bytes_of(at, cdb_datalen(&db));
	return OK;
}

static struct bytes
value_of(const struct control *c, enum control_item item)
{
	const uint8_t key[2] = { (uint8_t)item, CONTROL_VALUE };
	struct bytes value = BYTES_NONE;

	return find(c, bytes_of(key, sizeof key), &value) == OK ? value : BYTES_NONE;
}

uint64_t
control_number(const struct control *c, enum control_item item)
{
	struct bytes value = value_of(c, item);

	return value.len == 8 ? le64_get(value.at) : 0;
}

struct bytes
control_text(const struct control *c, enum control_item item)
{
	return value_of(c, item);
}

struct bytes
control_lines(const struct control *c, enum control_item item)
{
	return value_of(c, item);
}

bool
control_next_line(struct bytes *at, struct bytes *line)
{
	size_t len;

	if (at->len < CONTROL_LINE_HEAD)
		return false;
	len = le32_get(at->at);
	if (len > at->len - CONTROL_LINE_HEAD)
		return false;
	*line = bytes_first(bytes_skip(*at, CONTROL_LINE_HEAD), len);
	*at = bytes_skip(*at, CONTROL_LINE_HEAD + len);
	return true;
}

static enum result
find_in_table(const struct control *c, enum control_item item, struct bytes key, bool as_it_is, struct bytes *value)
{
	uint8_t whole[2 + CONTROL_KEY_MAX];

	if (key.len > CONTROL_KEY_MAX)
		return ABSENT;
	whole[0] = (uint8_t)item;
	whole[1] = CONTROL_TABLE;
	for (size_t i = 0; i < key.len; i++)
		whole[2 + i] = as_it_is ? key.at[i] : ascii_lower(key.at[i]);
	return find(c, bytes_of(whole, 2 + key.len), value);
}

enum result
control_find(const struct control *c, enum control_item item, struct bytes key, struct bytes *value)
{
	return find_in_table(c, item, key, false, value);
}

enum result
control_find_exact(const struct control *c, enum control_item item, struct bytes key, struct bytes *value)
{
	return find_in_table(c, item, key, true, value);
}

enum result
control_find_domain(const struct control *c, enum control_item item, struct bytes domain)
{
	struct bytes none;
	enum result r = control_find(c, item, domain, &none);

	for (size_t i = 1; r == ABSENT && i < domain.len; i++)
		if (domain.at[i] == '.')
			r = control_find(c, item, bytes_skip(domain, i), &none);
	return r;
}

static bool
same_bits(const uint8_t *a, const uint8_t *b, unsigned n_bits)
{
	unsigned whole = n_bits / 8, rest = n_bits % 8;
	uint8_t mask = (uint8_t)(0xff << (8 - rest));

	return memcmp(a, b, whole) == 0 && (rest == 0 || ((a[whole] ^ b[whole]) & mask) == 0);
}

bool
control_in_networks(const struct control *c, enum control_item item, const uint8_t *address, size_t len)
{
	struct bytes at = value_of(c, item), line;

	while (control_next_line(&at, &line))
		if (line.len == CONTROL_NETWORK_HEAD + len && line.at[0] == len && line.at[1] <= len * 8 &&
		    same_bits(line.at + CONTROL_NETWORK_HEAD, address, line.at[1]))
			return true;
	return false;
}

bool
control_next_endpoint(struct bytes *at, struct endpoint *e)
{
	struct bytes line, rest;

	if (!control_next_line(at, &line) || line.len < CONTROL_ENDPOINT_HEAD)
		return false;
	*e = (struct endpoint){ .kind = (enum endpoint_kind)line.at[0], .port = le16_get(line.at + 1) };
	rest = bytes_skip(line, CONTROL_ENDPOINT_HEAD);
	if (e->kind == ENDPOINT_UNIX)
		e->path = rest;
	else if (rest.len == (e->kind == ENDPOINT_IPV4 ? 4u : 16u))
		memcpy(e->address, rest.at, rest.len);
	else
		return false;
	return true;
}

bool
control_owner(const struct control *c, enum control_item item, struct control_owner *owner)
{
	struct bytes value = value_of(c, item);

	if (value.len < CONTROL_OWNER_HEAD)
		return false;
	owner->uid = le32_get(value.at);
	owner->gid = le32_get(value.at + 4);
	owner->home = bytes_skip(value, CONTROL_OWNER_HEAD);
	return true;
}
