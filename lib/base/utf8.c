/* UTF-8.
 * Trusts nothing.
 * Never accepts an overlong form, a surrogate or a cut sequence: two spellings of one name are two chances. */
#include "base/utf8.h"

size_t
utf8_sequence(struct bytes v)
{
	uint8_t c;
	size_t n;

	if (v.len == 0)
		return 0;
	c = v.at[0];
	if (c < 0x80)
		return 1;
	n = c >= 0xc2 && c <= 0xdf ? 2 : c >= 0xe0 && c <= 0xef ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
	if (n == 0 || v.len < n)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((v.at[i] & 0xc0) != 0x80)
			return 0;
	if ((c == 0xe0 && v.at[1] < 0xa0) || (c == 0xed && v.at[1] > 0x9f) || (c == 0xf0 && v.at[1] < 0x90) ||
	    (c == 0xf4 && v.at[1] > 0x8f))
		return 0;
	return n;
}

bool
utf8_is_valid(struct bytes v)
{
	while (v.len > 0) {
		size_t n = utf8_sequence(v);

		if (n == 0)
			return false;
		v = bytes_skip(v, n);
	}
	return true;
}

bool
utf8_is_ascii(struct bytes v)
{
	for (size_t i = 0; i < v.len; i++)
		if (v.at[i] >= 0x80)
			return false;
	return true;
}
