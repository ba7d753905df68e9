/* Views of octets.
 * Trusts the caller that a view's length is that of the memory it shows.
 * Never reads past a view, never allocates, knows no locale. */
#include "base/bytes.h"

#include <string.h>

struct bytes
bytes_of(const void *at, size_t len)
{
	return (struct bytes){ at, len };
}

struct bytes
bytes_of_string(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, s == NULL ? 0 : strlen(s) };
}

bool
bytes_equal(struct bytes a, struct bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

bool
bytes_equal_nocase(struct bytes a, struct bytes b)
{
	return a.len == b.len && bytes_starts_nocase(a, b);
}

int
bytes_compare(struct bytes a, struct bytes b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int c = n == 0 ? 0 : memcmp(a.at, b.at, n);

	return c != 0 ? c : (a.len > b.len) - (a.len < b.len);
}

bool
bytes_starts(struct bytes a, struct bytes prefix)
{
	return a.len >= prefix.len && bytes_equal(bytes_first(a, prefix.len), prefix);
}

bool
bytes_starts_nocase(struct bytes a, struct bytes prefix)
{
	if (a.len < prefix.len)
		return false;
	for (size_t i = 0; i < prefix.len; i++)
		if (ascii_lower(a.at[i]) != ascii_lower(prefix.at[i]))
			return false;
	return true;
}

bool
bytes_ends_nocase(struct bytes a, struct bytes suffix)
{
	return a.len >= suffix.len && bytes_equal_nocase(bytes_skip(a, a.len - suffix.len), suffix);
}

struct bytes
bytes_first(struct bytes a, size_t n)
{
	return (struct bytes){ a.at, n < a.len ? n : a.len };
}

struct bytes
bytes_skip(struct bytes a, size_t n)
{
	size_t k = n < a.len ? n : a.len;

	return (struct bytes){ k == 0 ? a.at : a.at + k, a.len - k };
}

size_t
bytes_find(struct bytes a, uint8_t c)
{
	const uint8_t *p = a.len == 0 ? NULL : memchr(a.at, c, a.len);

	return p == NULL ? a.len : (size_t)(p - a.at);
}

size_t
bytes_find_last(struct bytes a, uint8_t c)
{
	const uint8_t *p = a.len == 0 ? NULL : memrchr(a.at, c, a.len);

	return p == NULL ? a.len : (size_t)(p - a.at);
}

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

struct bytes
bytes_trim(struct bytes a)
{
	while (a.len > 0 && is_blank(a.at[0]))
		a = bytes_skip(a, 1);
	while (a.len > 0 && is_blank(a.at[a.len - 1]))
		a.len--;
	return a;
}

bool
bytes_split(struct bytes *rest, uint8_t c, struct bytes *piece)
{
	size_t n;

	if (rest->at == NULL)
		return false;
	n = bytes_find(*rest, c);
	*piece = bytes_first(*rest, n);
	*rest = n < rest->len ? bytes_skip(*rest, n + 1) : BYTES_NONE;
	return true;
}

bool
bytes_equal_constant_time(struct bytes a, struct bytes b)
{
	volatile uint8_t differs = a.len != b.len;
	size_t n = a.len < b.len ? a.len : b.len;

	for (size_t i = 0; i < n; i++)
		differs = (uint8_t)(differs | (a.at[i] ^ b.at[i]));
	return differs == 0;
}

bool
bytes_to_number(struct bytes a, uint64_t max, uint64_t *n)
{
	uint64_t value = 0;

	if (a.len == 0)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		if (!ascii_is_digit(a.at[i]))
			return false;
		if (__builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(a.at[i] - '0'), &value))
			return false;
	}
	if (value > max)
		return false;
	*n = value;
	return true;
}

bool
ascii_is_alnum(uint8_t c)
{
	c = ascii_lower(c);
	return ascii_is_digit(c) || (c >= 'a' && c <= 'z');
}

bool
ascii_is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}
