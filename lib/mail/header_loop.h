/* Whether a message was delivered to an address before. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"

/* ABSENT: the header of the content at that place of the file has no Delivered-To with this address (ASCII case does not count). OK:
 * it has: a loop. BROKEN: it can't be read. */
enum result header_finds_loop(int fd, uint64_t at, uint64_t len, struct bytes address);
