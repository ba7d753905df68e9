/* What `local` may do, and where its descriptors are. */
#pragma once

#include "sys/privileges.h"

enum { LOCAL_SEND_FD = 3 };

extern const struct privileges local_privileges;
