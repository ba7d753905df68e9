/* Taking in what warden opened. */
#pragma once

#include "wire/rack.h"
#include "wire/channel.h"

/* Until WK_END: checks every pair, keeps the good ones, fills and seals the rack of certificates. What is
 * not good is logged, and the last good pair of that name stays. OK, or what keeps it from going on. */
enum result take_all(struct channel *warden, struct why *why);
