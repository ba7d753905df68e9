/* The rights of `local`: the recipient's own, and of these only the home directory.
 * Data only. It has no network and executes nothing. */
#include "local/privileges.h"

const struct privileges local_privileges = {
	.process = "local",
	.purpose = "delivers a run of messages to one user",
	.user = "recipient",
	.capabilities = NO_CAPABILITIES,
	.root = GIVEN_HOME,
	.paths = { { ".", PATH_LIST | PATH_WRITE } }, /* mail that is there already is not for it to read */
	.ports = NO_PORTS,
	.fds = {
		{ LOCAL_SEND_FD, "send", FD_CHANNEL, 0, false },
	},
	.holds = HOLDS_MESSAGES | HOLDS_FILES,
	.syscalls = MAY_COMPUTE | MAY_WAIT | MAY_TALK | MAY_READ_AT | MAY_WRITE_AT | MAY_OPEN_BELOW | MAY_CHANGE_NAMES | MAY_THREAD |
	    MAY_LOCK_FILES,
	.limits = { { RLIMIT_NOFILE, 256 } },
};
