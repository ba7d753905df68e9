/* The rights of `listen`: it accepts, and hands on what it accepted.
 * Data only. It reads no octet of a connection and has no file. */
#include "listen/privileges.h"

const struct privileges listen_privileges = {
	.process = "listen",
	.purpose = "accepts connections, counts them, hands each to a front end and its facts to policy",
	.user = "listen",
	.capabilities = NO_CAPABILITIES,
	.root = EMPTY_ROOT,
	.paths = NO_PATHS,
	.ports = NO_PORTS,
	.fds = {
		{ CONTROL_FD, "control", FD_CONTROL, 0, false },
		{ LISTEN_SMTPD_FD, "smtpd", FD_CHANNEL, 0, false },
		{ LISTEN_POLICY_FD, "policy", FD_CHANNEL, 0, false },
		{ LISTEN_SOCKETS_FD, "sockets", FD_LISTENING, LISTEN_SOCKETS_MAX, false },
	},
	.holds = HOLDS_EVENTS | HOLDS_CHANNELS | HOLDS_CONNECTION,
	.syscalls = MAY_COMPUTE | MAY_WAIT | MAY_TALK | MAY_PAIR | MAY_ACCEPT | MAY_READ_AT,
	.limits = { { RLIMIT_NOFILE, 4096 }, { RLIMIT_NPROC, 0 }, { RLIMIT_AS, 256 << 20 } },
};
