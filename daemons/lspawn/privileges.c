/* The rights of `lspawn`: root, to become the users it is told; no other capability.
 * Data only. Its filter and its missing landlock are those that the local it starts needs before confining itself. */
#include "lspawn/privileges.h"

#include <linux/capability.h>

#define CAP(c) (UINT64_C(1) << (c))

const struct privileges lspawn_privileges = {
	.process = "lspawn",
	.purpose = "starts the delivery process of one user",
	.user = "root",
	.capabilities = CAP(CAP_SETUID) | CAP(CAP_SETGID) | CAP(CAP_SETPCAP),
	.root = HOST_ROOT,
	.paths = NO_PATHS,
	.ports = NO_PORTS,
	.fds = {
		{ CONTROL_FD, "control", FD_CONTROL, 0, false },
		{ LSPAWN_SEND_FD, "send", FD_CHANNEL, 0, false },
		{ LSPAWN_LOCAL_FD, "local", FD_PROGRAM, 0, false },
	},
	.holds = HOLDS_CHANNELS,
	.syscalls = MAY_COMPUTE | MAY_WAIT | MAY_TALK | MAY_FORK | MAY_EXEC | MAY_BECOME | MAY_READ_AT | MAY_WRITE_AT |
	    MAY_OPEN_BELOW | MAY_CHANGE_NAMES | MAY_THREAD,
	.limits = { { RLIMIT_NOFILE, 4096 } },
	.no_landlock = true, /* it would bind every local to one home */
};
