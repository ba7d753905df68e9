/* Of which outcomes of a recipient the sender wants to be told: NOTIFY of RFC 3461 4.1, from RCPT through the queue file to
 * the next hop. */
#pragma once

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

enum notify { /* or-ed; 0: not said, which is of failure, and of delay as the host likes. The values are in queue files. */
	NOTIFY_NEVER = 1,
	NOTIFY_SUCCESS = 2,
	NOTIFY_FAILURE = 4,
	NOTIFY_DELAY = 8,
};

/* No other bit is set, and NEVER stands alone. */
bool notify_is_valid(unsigned notify);

struct notify_word {
	const char *text; /* as NOTIFY= has it, in capitals */
	uint8_t bit;
};
#define NOTIFY_N_WORDS 4u
extern const struct notify_word notify_words[NOTIFY_N_WORDS];

/* Its bit, whatever its case; 0 if it is no such word. */
unsigned notify_of_word(struct bytes word);
