/* What `pipe` may do, and where its descriptors are. */
#pragma once

#include "sys/privileges.h"

enum { PIPE_SEND_FD = 3 };

extern const struct privileges pipe_privileges;
