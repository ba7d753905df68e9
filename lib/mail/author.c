/* Writing of names and local parts.
 * Trusts nothing in them: they come from the environment, the account or the command line.
 * Never lets an octet through that could end the string, the comment or the line. */
#include "mail/author.h"

#include "base/base64.h"
#include "base/utf8.h"

#include <string.h>

#define WORD_OCTETS 39u /* of text in one encoded word: behind a field's name, too, the line has at most 76 octets */

static void
put_without(struct buf *b, struct bytes name, const char *special)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.at[i] >= ' ' && name.at[i] != 0x7f && strchr(special, name.at[i]) == NULL)
			buf_add_octet(b, name.at[i]);
}

/* The longest piece that fits into a word and cuts no character. */
static size_t
piece_of(struct bytes text, bool utf8)
{
	size_t n = 0, more;

	if (!utf8)
		return text.len < WORD_OCTETS ? text.len : WORD_OCTETS;
	while (n < text.len && n + (more = utf8_sequence(bytes_skip(text, n))) <= WORD_OCTETS)
		n += more;
	return n;
}

static void
put_encoded(struct buf *b, struct bytes name)
{
	bool utf8 = utf8_is_valid(name);

	while (name.len > 0) {
		size_t n = piece_of(name, utf8);

		buf_add_string(b, utf8 ? "=?utf-8?B?" : "=?unknown-8bit?B?");
		base64_encode(bytes_first(name, n), b);
		buf_add_string(b, "?=");
		name = bytes_skip(name, n);
		if (name.len > 0)
			buf_add_string(b, "\n ");
	}
}

void
author_put(struct buf *b, struct bytes name, struct bytes address)
{
	if (name.len > 0 && utf8_is_ascii(name)) {
		buf_add_octet(b, '"');
		put_without(b, name, "\"\\");
		buf_add_string(b, "\" ");
	} else if (name.len > 0) {
		put_encoded(b, name);
		buf_add_string(b, "\n ");
	}
	buf_add_octet(b, '<');
	buf_add(b, address);
	buf_add_octet(b, '>');
}

void
author_put_commented(struct buf *b, struct bytes name, struct bytes address)
{
	buf_add(b, address);
	if (name.len == 0)
		return;
	buf_add_string(b, " (");
	if (utf8_is_ascii(name))
		put_without(b, name, "()\\");
	else
		put_encoded(b, name);
	buf_add_octet(b, ')');
}

static bool
is_dot_string(struct bytes local)
{
	for (size_t i = 0; i < local.len; i++)
		if (local.at[i] <= ' ' || local.at[i] == 0x7f || strchr("()<>[]:;@\\,\"", local.at[i]) != NULL)
			return false;
	return local.len > 0 && local.at[0] != '.' && local.at[local.len - 1] != '.' &&
	    memmem(local.at, local.len, "..", 2) == NULL;
}

void
author_put_local(struct buf *b, struct bytes local)
{
	if (is_dot_string(local)) {
		buf_add(b, local);
		return;
	}
	buf_add_octet(b, '"');
	for (size_t i = 0; i < local.len; i++) {
		if (local.at[i] < ' ' || local.at[i] == 0x7f)
			continue;
		if (local.at[i] == '"' || local.at[i] == '\\')
			buf_add_octet(b, '\\');
		buf_add_octet(b, local.at[i]);
	}
	buf_add_octet(b, '"');
}
