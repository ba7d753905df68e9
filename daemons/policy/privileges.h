/* What `policy` may do, and where its descriptors are. */
#pragma once

#include "sys/privileges.h"

enum {
	POLICY_LISTEN_FD = 4,
	POLICY_QUEUE_FD = 5,
	POLICY_TLS_FD = 6,
	POLICY_KEYLOAD_FD = 7,
	POLICY_RESOLVE_FD = 8,
	POLICY_AUTH_FD = 9,
	POLICY_AUTHRUN_FD = 10,
	POLICY_RACK_FD = 11,
	POLICY_USERS_FD = 12
};

extern const struct privileges policy_privileges;
