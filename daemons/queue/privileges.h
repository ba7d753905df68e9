/* What `queue` may do, and where its descriptors are. */
#pragma once

#include "sys/privileges.h"

enum {
	QUEUE_SEND_FD = 4,
	QUEUE_BOUNCES_FD = 5,
	QUEUE_ADMIN_DOOR_FD = 6,
	QUEUE_PROC_FDS_FD = 7,
	QUEUE_SMTPD_DOOR_FD = 8, /* of the services that bring mail, one each */
	QUEUE_SMTPS_DOOR_FD = 9,
	QUEUE_SUBMISSION_DOOR_FD = 10,
	QUEUE_INJECT_DOOR_FD = 11,
};

extern const struct privileges queue_privileges;
