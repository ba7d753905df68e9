/* Wardens of versions that can't execute the next one (before 1.0.0). */
#pragma once

#include "base/result.h"

#include <sys/types.h>

/* Ends that warden, holds its listening sockets, and hands them to the one that its supervisor starts: no connection is refused
 * meanwhile; sessions end. AGAIN: nothing started the service again within `seconds`. */
enum result reload_before(const char *run, const char *service, pid_t warden, unsigned seconds, struct why *why);
