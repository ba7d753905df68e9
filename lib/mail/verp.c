/* Reverse-paths for each recipient.
 * Trusts both addresses to be normalised, and neither for its length.
 * Never makes an address of a local part that needs quotes without them. */
#include "mail/verp.h"

#include "mail/author.h"

#define LOCAL_MAX 2048

bool
verp_take_mark(struct bytes *reverse)
{
	const struct bytes mark = BYTES(VERP_MARK);
	struct bytes address;

	if (reverse->len < mark.len || !bytes_equal(bytes_skip(*reverse, reverse->len - mark.len), mark))
		return false;
	address = bytes_first(*reverse, reverse->len - mark.len);
	if (bytes_find(address, '@') == address.len)
		return false;
	*reverse = address;
	return true;
}

/* Without the quotes and backslashes of RFC 5321 4.1.2. */
static void
put_unquoted(struct buf *b, struct bytes local)
{
	bool quoted = local.len >= 2 && local.at[0] == '"' && local.at[local.len - 1] == '"';

	if (quoted)
		local = bytes_first(bytes_skip(local, 1), local.len - 2);
	for (size_t i = 0; i < local.len; i++) {
		if (quoted && local.at[i] == '\\' && i + 1 < local.len)
			i++;
		buf_add_octet(b, local.at[i]);
	}
}

void
verp_put(struct buf *b, struct bytes reverse, struct bytes recipient)
{
	size_t ours = bytes_find_last(reverse, '@'), theirs = bytes_find_last(recipient, '@');
	uint8_t room[LOCAL_MAX];
	struct buf local = BUF_OVER(room);

	if (ours == reverse.len || theirs == recipient.len) {
		buf_add(b, reverse);
		return;
	}
	put_unquoted(&local, bytes_first(reverse, ours));
	put_unquoted(&local, bytes_first(recipient, theirs));
	buf_add_octet(&local, '=');
	buf_add(&local, bytes_skip(recipient, theirs + 1));
	b->failed |= local.failed;
	author_put_local(b, buf_bytes(&local));
	buf_add(b, bytes_skip(reverse, ours));
}
