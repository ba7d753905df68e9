/* What `queue` may do, and where its descriptors are. */
#pragma once

#include "sys/privileges.h"

enum {
	QUEUE_SEND_FD = 4,
	QUEUE_BOUNCES_FD = 5,
	QUEUE_POLICY_DOOR_FD = 6,
	QUEUE_ADMIN_DOOR_FD = 7,
	QUEUE_PROC_FDS_FD = 8,
};

extern const struct privileges queue_privileges;
