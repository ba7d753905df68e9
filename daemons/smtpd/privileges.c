/* The rights of `smtpd`: it talks to one peer and to policy.
 * Data only. It has no file, no key, opens nothing and connects to nothing; a content descriptor is append-only. */
#include "smtpd/privileges.h"

const struct privileges smtpd_privileges = {
	.process = "smtpd",
	.purpose = "turns the octets of one SMTP session into requests to policy",
	.user = "smtpd",
	.capabilities = NO_CAPABILITIES,
	.root = EMPTY_ROOT,
	.paths = NO_PATHS,
	.ports = NO_PORTS,
	.fds = {
		{ SMTPD_DOOR_FD, "door", FD_CHANNEL, 0, false },
	},
	.holds = HOLDS_CHANNELS | HOLDS_CONNECTION | HOLDS_WRITERS,
	.syscalls = MAY_COMPUTE | MAY_WAIT | MAY_TALK | MAY_FORK | MAY_LIMIT | MAY_SEE_SPACE,
	.limits = { { RLIMIT_NOFILE, 16 }, { RLIMIT_NPROC, 16384 }, { RLIMIT_AS, 128 << 20 } },
};
