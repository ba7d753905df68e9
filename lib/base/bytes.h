/* Views of octets that carry their length. A view owns nothing and is valid as long as what it shows. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
	const uint8_t *at;
	size_t len;
};

#define nitems(a) (sizeof(a) / sizeof((a)[0]))
#define BYTES_NONE ((struct bytes){ NULL, 0 })
/* of a string literal */
#define BYTES(literal) ((struct bytes){ (const uint8_t *)(literal), sizeof(literal) - 1 })

struct bytes bytes_of(const void *at, size_t len);
struct bytes bytes_of_string(const char *s); /* null gives the empty view */

bool bytes_equal(struct bytes a, struct bytes b);
bool bytes_equal_nocase(struct bytes a, struct bytes b); /* ASCII letters only */
int bytes_compare(struct bytes a, struct bytes b);       /* as memcmp, the shorter first */
bool bytes_starts(struct bytes a, struct bytes prefix);
bool bytes_starts_nocase(struct bytes a, struct bytes prefix);
bool bytes_ends_nocase(struct bytes a, struct bytes suffix);

/* The first n octets, or what is behind them; n past the end counts as the end. */
struct bytes bytes_first(struct bytes a, size_t n);
struct bytes bytes_skip(struct bytes a, size_t n);

/* Position of the first or last octet c; a.len if there is none. */
size_t bytes_find(struct bytes a, uint8_t c);
size_t bytes_find_last(struct bytes a, uint8_t c);

struct bytes bytes_trim(struct bytes a); /* without blanks and tabs at both ends */

/* Cuts off and returns what is before the first c; *rest becomes what is behind it. False, with nothing changed,
 * once *rest is spent: a text without c is one piece. Start with rest->at not null. */
bool bytes_split(struct bytes *rest, uint8_t c, struct bytes *piece);

bool bytes_equal_constant_time(struct bytes a, struct bytes b); /* time depends on the lengths only */

/* An ASCII decimal number without sign or blank, at most max. False for anything else. */
bool bytes_to_number(struct bytes a, uint64_t max, uint64_t *n);

static inline uint8_t
ascii_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

bool ascii_is_alnum(uint8_t c);
bool ascii_is_digit(uint8_t c);
