/* Where `remote` finds its descriptors. */
#pragma once

#include "sys/privileges.h"

enum { REMOTE_DOOR_FD = 3, REMOTE_RESOLVE_FD = 4 };

extern const struct privileges remote_privileges;
