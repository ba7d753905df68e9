/* What `pop3box` may do, and where its descriptors are. */
#pragma once

#include "sys/privileges.h"

enum { POP3BOX_POLICY_FD = 3 };

extern const struct privileges pop3box_privileges;
