/* Names of messages and connections: 11 octets of base 32 (0-9a-v) of a number, so that they sort by age. */
#pragma once

#include "base/bytes.h"

#define ID_LEN 11

struct id {
	char text[ID_LEN + 1]; /* with its terminating zero */
};

/* The id after *last: microseconds since 1970, or *last + 1 if the clock stands or went back. *last is the caller's,
 * 0 at first. */
struct id id_next(uint64_t *last, uint64_t now_us);
struct id id_of_number(uint64_t n);
bool id_is_valid(struct bytes text);
bool id_from_bytes(struct bytes text, struct id *id); /* false if not valid */
uint64_t id_number(const struct id *id);
