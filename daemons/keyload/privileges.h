/* What `keyload` may do, and where its descriptors are. */
#pragma once

#include "sys/privileges.h"

enum { KEYLOAD_DOOR_FD = 3 }; /* who wants a signer */

extern const struct privileges keyload_privileges;
