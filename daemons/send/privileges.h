/* What `send` may do, and where its descriptors are. */
#pragma once

#include "sys/privileges.h"

enum {
	SEND_QUEUE_FD = 4,
	SEND_BOUNCES_FD = 5,
	SEND_LSPAWN_FD = 6,
	SEND_REMOTE_FD = 7,
	SEND_KEYLOAD_FD = 8,
	SEND_TLS_FD = 9,
	SEND_USERS_FD = 10,
	SEND_PSPAWN_FD = 11,
};

extern const struct privileges send_privileges;
