/* What `listen` may do, and where its descriptors are. */
#pragma once

#include "sys/privileges.h"

enum { LISTEN_SMTPD_FD = 4, LISTEN_POLICY_FD = 5, LISTEN_SOCKETS_FD = 16, LISTEN_SOCKETS_MAX = 64 };

extern const struct privileges listen_privileges;
