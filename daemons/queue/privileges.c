/* The rights of `queue`: the queue directory, which nobody else has.
 * Data only. It sees no network, and no other file. */
#include "queue/privileges.h"

const struct privileges queue_privileges = {
	.process = "queue",
	.purpose = "keeps messages on disk until every recipient has a final result",
	.user = "queue",
	.capabilities = NO_CAPABILITIES,
	.root = GIVEN_ROOT,
	.paths = { { "/", PATH_READ | PATH_WRITE } },
	.ports = NO_PORTS,
	.fds = {
		{ CONTROL_FD, "control", FD_CONTROL, 0, false },
		{ QUEUE_SEND_FD, "send", FD_CHANNEL, 0, false },
		{ QUEUE_BOUNCES_FD, "bounces", FD_CHANNEL, 0, false },
		{ QUEUE_ADMIN_DOOR_FD, "admin-door", FD_DOOR, 0, false },
		{ QUEUE_PROC_FDS_FD, "descriptors", FD_PROC_FDS, 0, false },
		{ QUEUE_SMTPD_DOOR_FD, "smtpd-door", FD_DOOR, 0, false },
		{ QUEUE_SMTPS_DOOR_FD, "smtps-door", FD_DOOR, 0, false },
		{ QUEUE_SUBMISSION_DOOR_FD, "submission-door", FD_DOOR, 0, false },
		{ QUEUE_INJECT_DOOR_FD, "inject-door", FD_DOOR, 0, false },
	},
	.holds = HOLDS_EVENTS | HOLDS_CHANNELS | HOLDS_FILES,
	.syscalls = MAY_COMPUTE | MAY_WAIT | MAY_TALK | MAY_READ_AT | MAY_WRITE_AT | MAY_OPEN_BELOW | MAY_CHANGE_NAMES | MAY_LEASE |
	    MAY_THREAD,
	.limits = { { RLIMIT_NOFILE, 32768 } },
};
