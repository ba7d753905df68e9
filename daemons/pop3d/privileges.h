/* What `pop3d` may do, and where its descriptors are. */
#pragma once

#include "sys/privileges.h"

enum { POP3D_DOOR_FD = 3 }; /* the sessions */

extern const struct privileges pop3d_privileges;
