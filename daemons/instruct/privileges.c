/* The rights of `instruct`: the recipient's own, and of these only reading below the home directory.
 * Data only. It writes nothing, has no network and executes nothing. */
#include "instruct/privileges.h"

const struct privileges instruct_privileges = {
	.process = "instruct",
	.purpose = "reads the .qmail files of one user and says what is to be done",
	.user = "recipient",
	.capabilities = NO_CAPABILITIES,
	.root = GIVEN_HOME,
	.paths = { { ".", PATH_READ } },
	.ports = NO_PORTS,
	.fds = {
		{ INSTRUCT_SEND_FD, "send", FD_CHANNEL, 0, false },
	},
	.holds = HOLDS_FILES,
	.syscalls = MAY_COMPUTE | MAY_WAIT | MAY_TALK | MAY_READ_AT | MAY_OPEN_BELOW,
	.limits = { { RLIMIT_NOFILE, 64 }, { RLIMIT_FSIZE, 0 } },
};
