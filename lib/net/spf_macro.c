/* The macros of SPF (RFC 7208 7).
 * Trusts nothing in a text.
 * Never writes past the room it is given; a domain that becomes too long loses its first labels, as 7.3 has it. */
#include "net/spf.h"

#include <string.h>

#define PARTS_MAX 128

struct macro {
	uint8_t letter; /* in lower case */
	bool escaped;   /* it was upper case */
	bool reversed;
	size_t n; /* parts from the right; 0: all */
	struct bytes delimiters;
};

static void
put_address(const struct spf_query *q, bool readable, struct buf *into)
{
	static const char hex[] = "0123456789abcdef";

	if (q->address_len == 4)
		buf_format(into, "%u.%u.%u.%u", q->address[0], q->address[1], q->address[2], q->address[3]);
	else if (readable)
		for (size_t i = 0; i < 16; i += 2)
			buf_format(into, "%s%x", i == 0 ? "" : ":", (unsigned)q->address[i] << 8 | q->address[i + 1]);
	else
		for (size_t i = 0; i < 16; i++)
			buf_format(
			    into, "%s%c.%c", i == 0 ? "" : ".", hex[q->address[i] >> 4], hex[q->address[i] & 15]);
}

static bool
put_value(const struct spf_query *q, struct bytes domain, const struct macro *m, bool explanation, struct buf *into)
{
	switch (m->letter) {
	case 's':
		buf_add(into, q->local);
		buf_add_octet(into, '@');
		buf_add(into, q->domain);
		return true;
	case 'l':
		buf_add(into, q->local);
		return true;
	case 'o':
		buf_add(into, q->domain);
		return true;
	case 'd':
		buf_add(into, domain);
		return true;
	case 'i':
		put_address(q, false, into);
		return true;
	case 'p':
		buf_add(into, q->host.at == NULL ? BYTES("unknown") : q->host);
		return true;
	case 'v':
		buf_add_string(into, q->address_len == 4 ? "in-addr" : "ip6");
		return true;
	case 'h':
		buf_add(into, q->helo);
		return true;
	case 'c':
		put_address(q, true, into);
		return explanation;
	case 'r':
		buf_add(into, q->receiver);
		return explanation;
	case 't':
		buf_add_number(into, q->now_s);
		return explanation;
	default:
		return false;
	}
}

/* RFC 3986: what is not unreserved. */
static void
put_escaped(struct buf *into, struct bytes text, bool escaped)
{
	for (size_t i = 0; i < text.len; i++)
		if (escaped && !ascii_is_alnum(text.at[i]) && memchr("-._~", text.at[i], 4) == NULL)
			buf_format(into, "%%%02X", text.at[i]);
		else
			buf_add_octet(into, text.at[i]);
}

static void
reverse(struct bytes parts[], size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		struct bytes other = parts[i];

		parts[i] = parts[n - 1 - i];
		parts[n - 1 - i] = other;
	}
}

static void
put_parts(struct buf *into, struct bytes value, const struct macro *m)
{
	struct bytes parts[PARTS_MAX];
	size_t n = 0, start = 0, first;

	for (size_t i = 0; i <= value.len && n < PARTS_MAX; i++)
		if (i == value.len || memchr(m->delimiters.at, value.at[i], m->delimiters.len) != NULL) {
			parts[n++] = bytes_first(bytes_skip(value, start), i - start);
			start = i + 1;
		}
	if (m->reversed)
		reverse(parts, n);
	first = m->n > 0 && m->n < n ? n - m->n : 0;
	for (size_t i = first; i < n; i++) {
		if (i > first)
			buf_add_octet(into, '.');
		put_escaped(into, parts[i], m->escaped);
	}
}

/* The inside of %{…}. */
static bool
parse(struct bytes text, struct macro *m)
{
	size_t i = 1;
	uint64_t n = 0;

	if (text.len == 0)
		return false;
	*m = (struct macro){ .letter = ascii_lower(text.at[0]), .delimiters = BYTES(".") };
	m->escaped = text.at[0] >= 'A' && text.at[0] <= 'Z';
	while (i < text.len && ascii_is_digit(text.at[i]))
		i++;
	if (i > 1 && (!bytes_to_number(bytes_first(bytes_skip(text, 1), i - 1), PARTS_MAX, &n) || n == 0))
		return false;
	m->n = (size_t)n;
	if (i < text.len && ascii_lower(text.at[i]) == 'r') {
		m->reversed = true;
		i++;
	}
	if (i < text.len)
		m->delimiters = bytes_skip(text, i);
	for (size_t k = 0; k < m->delimiters.len; k++)
		if (memchr(".-+,/_=", m->delimiters.at[k], 7) == NULL)
			return false;
	return true;
}

static bool
put_macro(const struct spf_query *q, struct bytes domain, struct bytes text, bool explanation, struct buf *into)
{
	uint8_t room[1024], parts_room[1024];
	struct buf value = BUF_OVER(room), parts = BUF_OVER(parts_room);
	struct macro m;

	if (!parse(text, &m) || !put_value(q, domain, &m, explanation, &value))
		return false;
	put_parts(&parts, buf_bytes(&value), &m);
	buf_add(into, buf_bytes(&parts));
	if (value.failed || parts.failed)
		into->failed = true;
	return true;
}

bool
spf_expand(const struct spf_query *q, struct bytes domain, struct bytes text, bool explanation, struct buf *into)
{
	while (text.len > 0) {
		size_t end;

		if (text.at[0] != '%') {
			buf_add_octet(into, text.at[0]);
			text = bytes_skip(text, 1);
			continue;
		}
		if (text.len < 2)
			return false;
		end = 1;
		if (text.at[1] == '%')
			buf_add_octet(into, '%');
		else if (text.at[1] == '_')
			buf_add_octet(into, ' ');
		else if (text.at[1] == '-')
			buf_add_string(into, "%20");
		else if (text.at[1] == '{') {
			end = bytes_find(text, '}');
			if (end == text.len ||
			    !put_macro(q, domain, bytes_first(bytes_skip(text, 2), end - 2), explanation, into))
				return false;
		} else
			return false;
		text = bytes_skip(text, end + 1);
	}
	return true;
}
