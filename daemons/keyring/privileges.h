/* What `keyring` may do, and where its descriptors are. */
#pragma once

#include "sys/privileges.h"

enum { KEYRING_WARDEN_FD = 3 };

extern const struct privileges keyring_privileges;
