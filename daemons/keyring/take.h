/* Taking in what warden opened. */
#pragma once

#include "crypt/rack.h"
#include "wire/channel.h"

/* Until WK_END: checks every pair, keeps the good ones, makes the rack of certificates; *rack_fd is the caller's. What is
 * not good is logged, and the last good pair of that name stays. OK, or what keeps it from going on. */
enum result take_all(struct channel *warden, int *rack_fd, struct why *why);
