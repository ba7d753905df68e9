/* What `tls` may do, and where its descriptors are. */
#pragma once

#include "sys/privileges.h"

enum { TLS_DOOR_FD = 3, TLS_RACK_FD = 4 }; /* connections; certificates (wire/rack.h) */

extern const struct privileges tls_privileges;
