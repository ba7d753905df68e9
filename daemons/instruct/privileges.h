/* What `instruct` may do, and where its descriptors are. */
#pragma once

#include "sys/privileges.h"

enum { INSTRUCT_SEND_FD = 3 };

extern const struct privileges instruct_privileges;
