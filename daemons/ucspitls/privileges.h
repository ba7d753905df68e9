/* What `ucspitls` may do, and where its descriptors are. */
#pragma once

#include "sys/privileges.h"

enum { UCSPITLS_DOOR_FD = 3, UCSPITLS_TLS_FD = 4, UCSPITLS_KEYLOAD_FD = 5 };

extern const struct privileges ucspitls_privileges;
