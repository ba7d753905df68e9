/* CRC-32C (RFC 3720 appendix B.4), which processors of our day compute in an instruction: the sum of a message's content.
 * It finds decay and torn writes. It is no protection against somebody who makes a content to fit. */
#pragma once

#include "base/bytes.h"

/* Start with 0 and feed pieces in order. */
uint32_t crc32c_add(uint32_t sum, struct bytes what);

/* The same on a processor without the instruction. */
uint32_t crc32c_add_by_table(uint32_t sum, struct bytes what);
