/* CRC-32 (the polynomial of IEEE 802.3, reflected), against decay and torn writes; not against an attacker. */
#pragma once

#include "base/bytes.h"

/* Start with 0; feed pieces in order. */
uint32_t crc32_add(uint32_t crc, struct bytes what);
