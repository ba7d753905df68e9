/* Looking up as whom a client may send.
 * Trusts the table, which was checked when it was made; addresses in envelopes come from the network.
 * Never lets example.org stand for notexample.org. */
#include "control/senders.h"

#include <string.h>

static enum result
get(const void *ctx, struct bytes key, struct bytes *data)
{
	return control_find_exact(ctx, ITEM_MAILFROMRULES, key, data);
}

/* 2001:0db8: and so on, longest first. */
static enum result
find_prefix(const struct control *c, const struct rules_query *q, struct bytes *senders)
{
	uint8_t room[64];
	struct buf key = BUF_OVER(room);
	enum result r = ABSENT;

	if (q->address_len != 16)
		return ABSENT;
	rules_put_ip(&key, q->address, 16);
	while (r == ABSENT && key.len > 5) {
		key.len -= key.at[key.len - 1] == ':' ? 5 : 4;
		r = get(c, buf_bytes(&key), senders);
	}
	return r;
}

enum result
senders_find(const struct control *c, const struct rules_query *q, struct bytes *senders)
{
	uint8_t room[RULES_KEY_MAX];
	struct buf key = BUF_OVER(room);
	struct bytes found = BYTES_NONE;
	enum result r = ABSENT, of_prefix;

	*senders = BYTES_NONE;
	if (q->info.at != NULL && (r = control_find(c, ITEM_MAILFROMRULES, q->info, senders)) != ABSENT)
		return r;
	r = rules_find(get, c, q, &found, &key);
	if (r == OK && key.len > 0 && (key.at[0] != '=' || (key.len > 1 && key.at[1] != '.'))) {
		*senders = found;
		return OK;
	}
	if (r != OK && r != ABSENT)
		return r;
	if ((of_prefix = find_prefix(c, q, senders)) != ABSENT)
		return of_prefix;
	*senders = found;
	return r;
}

static bool
fits(struct bytes item, struct bytes sender)
{
	uint8_t before;

	if (item.len == 0 || !bytes_ends_nocase(sender, item))
		return false;
	if (item.len == sender.len || item.at[0] == '@' || item.at[0] == '.')
		return true;
	before = sender.at[sender.len - item.len - 1];
	return bytes_find(item, '@') == item.len && (before == '@' || before == '.');
}

bool
senders_have(struct bytes senders, struct bytes sender)
{
	struct bytes item;

	if (senders.len == 0)
		return true;
	while (senders.len > 0) {
		item = bytes_first(senders, bytes_find(senders, '\0'));
		if (fits(item, sender))
			return true;
		senders = bytes_skip(senders, item.len + 1);
	}
	return false;
}
