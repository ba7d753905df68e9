/* What `lspawn` may do, and where its descriptors are. */
#pragma once

#include "sys/privileges.h"

enum { LSPAWN_SEND_FD = 4, LSPAWN_LOCAL_FD = 5 };

extern const struct privileges lspawn_privileges;
