/* The rights of `resolve`: it asks name servers.
 * Data only. It has no file; who asks it reaches it by a door, it reaches nobody but name servers. */
#include "resolve/privileges.h"

const struct privileges resolve_privileges = {
	.process = "resolve",
	.purpose = "asks name servers, validates what they say, remembers it for all",
	.user = "resolve",
	.capabilities = NO_CAPABILITIES,
	.root = EMPTY_ROOT,
	.paths = NO_PATHS,
	.ports = { { 53, true } }, /* by TCP; landlock knows no ports of UDP */
	.more_ports = true,        /* those of forwarders */
	.fds = {
		{ CONTROL_FD, "control", FD_CONTROL, 0, false },
		{ RESOLVE_POLICY_DOOR_FD, "policy-door", FD_DOOR, 0, false },
		{ RESOLVE_REMOTE_DOOR_FD, "remote-door", FD_DOOR, 0, false },
		{ RESOLVE_ADMIN_DOOR_FD, "admin-door", FD_DOOR, 0, false },
	},
	.holds = HOLDS_EVENTS | HOLDS_CHANNELS | HOLDS_CONNECTION,
	.syscalls = MAY_COMPUTE | MAY_WAIT | MAY_TALK | MAY_READ_AT | MAY_DATAGRAM_INET | MAY_THREAD | MAY_SET_WAITING | MAY_SHUT |
	    MAY_PAIR, /* the library talks to its thread over a pair */
	.limits = { { RLIMIT_NOFILE, 4096 } },
};
