/* What `auth` may do, and where its descriptors are. */
#pragma once

#include "sys/privileges.h"

enum { AUTH_POLICY_FD = 4, AUTH_LSPAWN_FD = 5, AUTH_AUTHRUN_FD = 6, AUTH_USERS_FD = 7 };

extern const struct privileges auth_privileges;
