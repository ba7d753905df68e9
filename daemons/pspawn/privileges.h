/* What `pspawn` may do, and where its descriptors are. */
#pragma once

#include "sys/privileges.h"

enum { PSPAWN_SEND_FD = 4, PSPAWN_PIPE_FD = 5, PSPAWN_USERS_FD = 6 };

extern const struct privileges pspawn_privileges;
