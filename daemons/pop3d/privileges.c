/* The rights of `pop3d`: it talks to one peer and to policy.
 * Data only. It has no file, no key and no user's rights; opens nothing and connects to nothing. */
#include "pop3d/privileges.h"

const struct privileges pop3d_privileges = {
	.process = "pop3d",
	.purpose = "carries the login of one POP3 session to policy",
	.user = "pop3d",
	.capabilities = NO_CAPABILITIES,
	.root = EMPTY_ROOT,
	.paths = NO_PATHS,
	.ports = NO_PORTS,
	.fds = {
		{ POP3D_DOOR_FD, "door", FD_CHANNEL, 0, false },
	},
	.holds = HOLDS_CHANNELS | HOLDS_CONNECTION,
	.syscalls = MAY_COMPUTE | MAY_WAIT | MAY_TALK | MAY_FORK | MAY_LIMIT,
	.limits = { { RLIMIT_NOFILE, 32 }, { RLIMIT_NPROC, 16384 }, { RLIMIT_AS, 128 << 20 } },
};
