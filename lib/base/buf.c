/* Buffers with a maximum.
 * Trusts nobody for a size: every growth is checked against the maximum.
 * Never writes past its room, never continues after a failure as if nothing had happened. */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct buf
buf_over(void *at, size_t size)
{
	return (struct buf){ .at = at, .size = size, .max = size, .fixed = true };
}

struct buf
buf_growing(size_t max)
{
	return (struct buf){ .max = max };
}

void
buf_free(struct buf *b)
{
	if (!b->fixed)
		free(b->at);
	*b = (struct buf){ .fixed = b->fixed, .failed = true };
}

void
buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

static bool
grow(struct buf *b, size_t need)
{
	size_t size = b->size < 128 ? 128 : b->size;
	uint8_t *at;

	if (b->fixed || need > b->max)
		return false;
	while (size < need)
		if (__builtin_mul_overflow(size, 2u, &size))
			return false;
	if (size > b->max)
		size = b->max;
	at = realloc(b->at, size);
	if (at == NULL)
		return false;
	b->at = at;
	b->size = size;
	return true;
}

uint8_t *
buf_room(struct buf *b, size_t n)
{
	size_t need;

	if (b->failed || __builtin_add_overflow(b->len, n, &need) || (need > b->size && !grow(b, need))) {
		b->failed = true;
		return NULL;
	}
	return b->at + b->len;
}

void
buf_add(struct buf *b, struct bytes what)
{
	uint8_t *room;

	if (what.len == 0)
		return;
	room = buf_room(b, what.len);
	if (room == NULL)
		return;
	memcpy(room, what.at, what.len);
	b->len += what.len;
}

void
buf_add_string(struct buf *b, const char *s)
{
	buf_add(b, bytes_of_string(s));
}

void
buf_add_octet(struct buf *b, uint8_t c)
{
	buf_add(b, bytes_of(&c, 1));
}

void
buf_add_number(struct buf *b, uint64_t n)
{
	char digits[20];
	size_t i = sizeof digits;

	do
		digits[--i] = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	buf_add(b, bytes_of(digits + i, sizeof digits - i));
}

void
buf_vformat(struct buf *b, const char *format, va_list ap)
{
	va_list again;
	uint8_t *room;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, format, ap);
	/* vsnprintf writes a zero behind the text */
	if (n >= 0 && (room = buf_room(b, (size_t)n + 1)) != NULL) {
		(void)vsnprintf((char *)room, (size_t)n + 1, format, again);
		b->len += (size_t)n;
	}
	if (n < 0)
		b->failed = true;
	va_end(again);
}

void
buf_format(struct buf *b, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	buf_vformat(b, format, ap);
	va_end(ap);
}

struct bytes
buf_bytes(const struct buf *b)
{
	return (struct bytes){ b->at, b->len };
}

const char *
buf_string(struct buf *b)
{
	uint8_t *end = buf_room(b, 1);

	if (end == NULL)
		return NULL;
	*end = '\0';
	return (const char *)b->at;
}

enum result
buf_result(const struct buf *b)
{
	return b->failed ? EXHAUSTED : OK;
}
