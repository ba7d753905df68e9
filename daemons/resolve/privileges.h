/* What `resolve` may do, and where its descriptors are. */
#pragma once

#include "sys/privileges.h"

enum { RESOLVE_POLICY_DOOR_FD = 4, RESOLVE_REMOTE_DOOR_FD = 5, RESOLVE_ADMIN_DOOR_FD = 6 };

extern const struct privileges resolve_privileges;
