/* What `authrun` may do, and where its descriptors are. */
#pragma once

#include "sys/privileges.h"

enum { AUTHRUN_AUTH_FD = 4, AUTHRUN_POLICY_FD = 5 };

extern const struct privileges authrun_privileges;
