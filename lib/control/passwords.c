/* Looking up login names.
 * Trusts the table, which was checked when it was made; names come from the network.
 * Never takes a table that can't be read for one without that name. */
#include "control/passwords.h"

#include "base/base64.h"

#include <string.h>

#define DUMMY "$y$j9T$U4dKMBEhBIufXE69fllT1/$6ZB3KiIp1oSzxaJi4alehiN9N/HsmWBaweyr3gvSKe8"

static struct bytes
take_part(struct bytes *rest, char letter)
{
	struct bytes one = bytes_first(*rest, bytes_find(*rest, '\0'));

	if (one.len == 0 || one.at[0] != (uint8_t)letter)
		return BYTES_NONE;
	*rest = bytes_skip(*rest, one.len + 1);
	return bytes_skip(one, 1);
}

/* Parts are put in by their letters, each with a zero octet behind it. */
static void
read_record(struct bytes data, struct password_entry *e)
{
	*e = (struct password_entry){ .disabled = false };
	e->disabled = take_part(&data, 'x').at != NULL;
	e->elsewhere = take_part(&data, 'e').at != NULL;
	e->hash = take_part(&data, 'h');
	e->scram = take_part(&data, 's');
	e->clear = take_part(&data, 'c');
	e->digest = take_part(&data, 'd');
}

static enum result
find_in(const struct control *c, enum control_item item, struct bytes before, struct bytes key, struct bytes *data)
{
	uint8_t room[PASSWORD_NAME_MAX + 2];
	struct buf whole = BUF_OVER(room);

	buf_add(&whole, before);
	buf_add(&whole, key);
	return whole.failed ? ABSENT : control_find(c, item, buf_bytes(&whole), data);
}

static enum result
find_authuser(const struct control *c, struct bytes name, struct bytes *data)
{
	size_t at = bytes_find_last(name, '@');
	struct bytes domain = bytes_skip(name, at); /* with its @ */
	const struct {
		struct bytes before, key;
	} order[] = {
		{ BYTES("!"), name },
		{ BYTES("!"), domain },
		{ BYTES(""), name },
		{ BYTES(""), domain },
		{ BYTES(""), BYTES("@") },
		{ BYTES(""), BYTES("*") },
	};
	enum result r = ABSENT;

	for (size_t i = 0; i < nitems(order) && r == ABSENT; i++)
		if (order[i].key.len > 0 && (at < name.len || !bytes_equal(order[i].key, BYTES("@"))))
			r = find_in(c, ITEM_AUTHUSER, order[i].before, order[i].key, data);
	return r;
}

enum result
passwords_find(const struct control *c, struct bytes name, struct password_entry *e)
{
	struct bytes data = BYTES_NONE;
	enum result r;

	*e = (struct password_entry){ .disabled = false };
	if (name.len == 0 || name.len > PASSWORD_NAME_MAX || memchr("!@*", name.at[0], 3) != NULL)
		return ABSENT;
	r = find_in(c, ITEM_PASSWORDS, BYTES(""), name, &data);
	if (r == ABSENT)
		r = find_authuser(c, name, &data);
	if (r == OK)
		read_record(data, e);
	return r;
}

struct bytes
passwords_dummy(const struct control *c)
{
	struct bytes at = control_lines(c, ITEM_PASSWORDS), line;

	return control_next_line(&at, &line) ? line : BYTES(DUMMY);
}

static bool
decode_octets(struct bytes text, uint8_t *into, size_t size, size_t *len)
{
	struct buf b = buf_over(into, size);

	if (base64_decode(text, &b) != OK || b.failed)
		return false;
	*len = b.len;
	return true;
}

enum result
passwords_cut_scram(struct bytes text, struct scram_verifier *v)
{
	struct bytes iterations, salt, stored;
	uint64_t n;
	size_t stored_len, server_len;

	if (text.at == NULL || !bytes_split(&text, ':', &iterations) || !bytes_split(&text, '$', &salt) ||
	    !bytes_split(&text, ':', &stored) || !bytes_to_number(iterations, UINT32_MAX, &n) ||
	    !decode_octets(salt, v->salt, sizeof v->salt, &v->salt_len) || v->salt_len == 0 ||
	    !decode_octets(stored, v->stored, sizeof v->stored, &stored_len) || stored_len != sizeof v->stored ||
	    !decode_octets(text, v->server, sizeof v->server, &server_len) || server_len != sizeof v->server)
		return MALFORMED;
	v->iterations = (uint32_t)n;
	return OK;
}
