/* Dates as mail has them. */
#pragma once

#include "base/buf.h"

/* RFC 5322 3.3, in UTC: "Mon, 23 Nov 2026 05:12:09 +0000". Seconds since 1970. */
void date_put(struct buf *into, uint64_t at_s);
