/* Base64.
 * Trusts no text to be it: every octet, the length and the padding are checked.
 * Never reads or writes past the lengths that it is given. */
#include "base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_encode(struct bytes from, struct buf *into)
{
	while (from.len > 0) {
		size_t n = from.len < 3 ? from.len : 3;
		uint32_t group = (uint32_t)from.at[0] << 16 | (n > 1 ? (uint32_t)from.at[1] << 8 : 0) |
		    (n > 2 ? (uint32_t)from.at[2] : 0);

		for (size_t i = 0; i < 4; i++)
			buf_add_octet(into, i <= n ? (uint8_t)digits[group >> (18 - 6 * i) & 63] : '=');
		from = bytes_skip(from, n);
	}
}

static int
value_of(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

enum result
base64_decode(struct bytes text, struct buf *into)
{
	if (text.len % 4 != 0)
		return MALFORMED;
	for (; text.len > 0; text = bytes_skip(text, 4)) {
		size_t n = text.len > 4 || text.at[3] != '=' ? 3 : text.at[2] != '=' ? 2 : 1; /* octets of the group */
		uint32_t group = 0;

		for (size_t i = 0; i < 4; i++) {
			int v = i <= n ? value_of(text.at[i]) : 0;

			if (v < 0)
				return MALFORMED;
			group = group << 6 | (uint32_t)v;
		}
		if ((group & ((UINT32_C(1) << 8 * (3 - n)) - 1)) != 0)
			return MALFORMED;
		for (size_t i = 0; i < n; i++)
			buf_add_octet(into, (uint8_t)(group >> (16 - 8 * i)));
	}
	return OK;
}
