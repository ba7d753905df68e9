/* From the text of mailfromrules, or its cdb, to what is looked up.
 * Trusts nothing in the text.
 * Never keeps a sender that would be taken for another one. */
#include "control/decode.h"
#include "control/senders.h"

#include <string.h>

#define SENDERS_MAX 8192

struct line {
	struct decoder *d;
	struct bytes senders;
};

static enum result
put(void *ctx, struct bytes key, struct bytes data, struct why *why)
{
	const struct line *l = ctx;

	(void)data;
	(void)why;
	decoder_put(l->d, key, l->senders);
	return OK;
}

static bool
is_address_like(struct bytes key)
{
	if (key.len == 0 || bytes_find(key, '@') < key.len || bytes_find(key, '/') < key.len || key.at[0] == '=')
		return true;
	for (size_t i = 0; i < key.len; i++)
		if (!ascii_is_digit(key.at[i]) && memchr(".-", key.at[i], 2) == NULL)
			return bytes_find(key, ':') < key.len;
	return true;
}

/* 2001:db8: as the first groups of an address in full length. */
static bool
put_ipv6_prefix(struct decoder *d, struct bytes key, struct bytes senders)
{
	uint8_t room[64];
	struct buf full = BUF_OVER(room);
	struct bytes rest = bytes_first(key, key.len - 1), group;

	while (bytes_split(&rest, ':', &group)) {
		if (group.len == 0 || group.len > 4)
			return false;
		for (size_t i = group.len; i < 4; i++)
			buf_add_octet(&full, '0');
		for (size_t i = 0; i < group.len; i++) {
			if (memchr("0123456789abcdefABCDEF", group.at[i], 22) == NULL)
				return false;
			buf_add_octet(&full, ascii_lower(group.at[i]));
		}
		buf_add_octet(&full, ':');
	}
	if (full.failed || full.len > 35)
		return false;
	decoder_put(d, buf_bytes(&full), senders);
	return true;
}

static void
put_key(struct decoder *d, struct bytes key, struct bytes senders)
{
	struct line l = { d, senders };
	uint8_t room[CONTROL_KEY_MAX];
	struct buf rule = BUF_OVER(room);
	struct why why = WHY_NONE;

	if (!is_address_like(key)) {
		decoder_put_lower(d, key, senders);
		return;
	}
	if (key.len > 1 && key.at[key.len - 1] == ':' && bytes_find(key, '@') == key.len) {
		if (!put_ipv6_prefix(d, key, senders))
			decoder_expected(d, "the first groups of an IPv6 address, each with a colon, before the &");
		return;
	}
	buf_add(&rule, key);
	buf_add_string(&rule, ":allow");
	if (rule.failed || rules_compile(buf_bytes(&rule), put, &l, &why) != OK)
		decoder_expected(d, "a user's name, or an address as in rules, before the &");
}

void
decode_senders(struct decoder *d, struct bytes line)
{
	size_t cut = bytes_find(line, '&');
	struct bytes rest = bytes_skip(line, cut + 1), item;
	uint8_t room[SENDERS_MAX];
	struct buf senders = BUF_OVER(room);

	if (cut == line.len && (cut = bytes_find(line, ':')) == bytes_find_last(line, ':')) /* an older form */
		rest = bytes_skip(line, cut + 1);
	if (cut == line.len) {
		decoder_expected(d, "key&sender,sender");
		return;
	}
	while (rest.len > 0 && bytes_split(&rest, ',', &item)) {
		item = bytes_trim(item);
		if (item.len == 0 || item.at[0] == '-') {
			decoder_expected(d, "addresses, @domains or domains behind the &, with commas between");
			return;
		}
		for (size_t i = 0; i < item.len; i++)
			buf_add_octet(&senders, ascii_lower(item.at[i]));
		buf_add_octet(&senders, '\0');
	}
	if (senders.failed)
		decoder_expected(d, "at most %d octets of senders", SENDERS_MAX);
	else
		put_key(d, bytes_trim(bytes_first(line, cut)), buf_bytes(&senders));
}

void
decode_senders_record(struct decoder *d, struct bytes key, struct bytes data)
{
	uint8_t room[SENDERS_MAX];
	struct buf senders = BUF_OVER(room);
	struct bytes item;

	if (data.len > 0 && data.at[0] == '+')
		data = bytes_skip(data, 1);
	while (data.len > 0 && bytes_split(&data, '+', &item))
		if (item.len > 0) {
			buf_add(&senders, item);
			buf_add_octet(&senders, '\0');
		}
	if (senders.failed)
		decoder_expected(d, "at most %d octets of senders", SENDERS_MAX);
	else
		decoder_put_lower(d, key, buf_bytes(&senders));
}
