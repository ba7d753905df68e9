/* What `smtpd` may do, and where its descriptors are. */
#pragma once

#include "sys/privileges.h"

enum { SMTPD_DOOR_FD = 3 }; /* the sessions */

extern const struct privileges smtpd_privileges;
