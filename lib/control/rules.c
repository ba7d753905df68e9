/* Looking up connection rules.
 * Trusts the table, whose records were checked when it was made; the peer's address comes from the kernel, names from
 * elsewhere.
 * Never parses rule text, never allocates. */
#include "control/rules.h"

#include <string.h>

void
rules_put_ip(struct buf *key, const uint8_t *a, size_t len)
{
	if (len == 4)
		buf_format(key, "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
	else
		for (size_t i = 0; i < 16; i += 2)
			buf_format(key, "%s%02x%02x", i == 0 ? "" : ":", a[i], a[i + 1]);
}

/* One octet a bit. IPv4: the n-th bit set is the n-th of a to z, 1 to 6; IPv6: 0x60 and the number of set bits before. */
void
rules_put_cidr(struct buf *key, const uint8_t *a, size_t len, unsigned n_bits)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz123456";
	uint8_t set = 0;

	buf_add_octet(key, len == 4 ? '_' : '^');
	for (unsigned k = 0; k < n_bits; k++) {
		if (!(a[k / 8] & (0x80 >> (k % 8))))
			buf_add_octet(key, '0');
		else if (len == 4)
			buf_add_octet(key, (uint8_t)letters[k]);
		else
			buf_add_octet(key, (uint8_t)(0x60 + set++));
	}
}

struct search {
	rules_get *get;
	const void *ctx;
	struct rules_query q;
	struct buf *key;
	struct bytes *data;
};

/* True if the search is over: found, or broken. */
static bool
try_key(const struct search *s, enum result *r)
{
	*r = s->key->failed ? ABSENT : s->get(s->ctx, buf_bytes(s->key), s->data);
	return *r != ABSENT;
}

static bool
try_name(const struct search *s, const char *before, struct bytes name, enum result *r)
{
	buf_add_string(s->key, before);
	for (size_t i = 0; i < name.len; i++)
		buf_add_octet(s->key, ascii_lower(name.at[i]));
	return try_key(s, r);
}

static bool
try_address(const struct search *s, enum result *r)
{
	buf_clear(s->key);
	if (s->q.address_len == 0)
		return false;
	rules_put_ip(s->key, s->q.address, s->q.address_len);
	return try_key(s, r);
}

static bool
try_info(const struct search *s, enum result *r)
{
	if (s->q.info.at == NULL)
		return false;
	buf_clear(s->key);
	buf_add(s->key, s->q.info);
	buf_add_octet(s->key, '@');
	if (s->q.address_len != 0) {
		rules_put_ip(s->key, s->q.address, s->q.address_len);
		if (try_key(s, r))
			return true;
	}
	if (s->q.host.at == NULL)
		return false;
	buf_clear(s->key);
	buf_add(s->key, s->q.info);
	return try_name(s, "@=", s->q.host, r);
}

static bool
try_networks(const struct search *s, enum result *r)
{
	size_t len = s->q.address_len;

	if (len == 4)
		for (size_t n = 3; n > 0; n--) {
			buf_clear(s->key);
			for (size_t i = 0; i < n; i++)
				buf_format(s->key, "%u.", s->q.address[i]);
			if (try_key(s, r))
				return true;
		}
	if (len != 0) {
		buf_clear(s->key);
		rules_put_cidr(s->key, s->q.address, len, (unsigned)len * 8);
		for (; s->key->len > 1; s->key->len--) /* each shorter prefix is a prefix of the key */
			if (try_key(s, r))
				return true;
	}
	return false;
}

static bool
try_host_suffixes(const struct search *s, enum result *r)
{
	if (s->q.host.at == NULL)
		return false;
	for (size_t i = 0; i < s->q.host.len; i++)
		if (s->q.host.at[i] == '.') {
			buf_clear(s->key);
			if (try_name(s, "=", bytes_skip(s->q.host, i), r))
				return true;
		}
	buf_clear(s->key);
	return try_name(s, "=", BYTES_NONE, r);
}

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

enum result
rules_find(rules_get *get, const void *ctx, const struct rules_query *q, struct bytes *data, struct buf *key)
{
	uint8_t room[RULES_KEY_MAX];
	struct buf own = BUF_OVER(room);
	struct search s = { get, ctx, *q, key == NULL ? &own : key, data };
	enum result r = ABSENT;

	*data = BYTES_NONE;
	if (q->address_len == 16 && memcmp(q->address, mapped, sizeof mapped) == 0) {
		s.q.address = q->address + sizeof mapped;
		s.q.address_len = 4;
	}
	if (try_info(&s, &r) || try_address(&s, &r))
		return r;
	buf_clear(s.key);
	if ((s.q.host.at != NULL && try_name(&s, "=", s.q.host, &r)) || try_networks(&s, &r) ||
	    try_host_suffixes(&s, &r))
		return r;
	buf_clear(s.key);
	(void)try_key(&s, &r);
	return r;
}

static enum result
get_in_control(const void *ctx, struct bytes key, struct bytes *data)
{
	return control_find_exact(ctx, ITEM_RULES, key, data);
}

enum result
rules_find_in(const struct control *c, const struct rules_query *q, struct bytes *data)
{
	return rules_find(get_in_control, c, q, data, NULL);
}

bool
rules_denies(struct bytes data)
{
	return data.len > 0 && data.at[0] == 'D';
}

bool
rules_next_variable(struct bytes *at, struct bytes *name, struct bytes *value)
{
	struct bytes entry;
	size_t equals;

	while (at->len > 0) {
		entry = bytes_first(*at, bytes_find(*at, '\0'));
		*at = bytes_skip(*at, entry.len + 1);
		equals = bytes_find(entry, '=');
		if (entry.len < 2 || entry.at[0] != '+' || equals == entry.len)
			continue;
		*name = bytes_skip(bytes_first(entry, equals), 1);
		*value = bytes_skip(entry, equals + 1);
		return true;
	}
	return false;
}

bool
rules_data_is_valid(struct bytes data)
{
	bool first = true;

	for (; data.len > 0; first = false) {
		size_t end = bytes_find(data, '\0');

		if (end == data.len)
			return false;
		if (!(first && end == 1 && data.at[0] == 'D') &&
		    !(end > 2 && data.at[0] == '+' && bytes_find(bytes_first(data, end), '=') < end))
			return false;
		data = bytes_skip(data, end + 1);
	}
	return true;
}
