/* The rights of `keyload`: the key directory, which is its root, and channels.
 * Data only. The zygote holds no key; a child that is about to read one keeps read, write and exit (sys/narrow.h).
 * It has no network, makes no socket and writes no file. */
#include "keyload/privileges.h"

const struct privileges keyload_privileges = {
	.process = "keyload",
	.purpose = "reads one private key, makes one signature, exits",
	.user = "key",
	.capabilities = NO_CAPABILITIES,
	.root = GIVEN_ROOT, /* the service's key directory, which keyring fills */
	.paths = { { ".", PATH_READ } },
	.ports = NO_PORTS,
	.fds = {
		{ KEYLOAD_DOOR_FD, "door", FD_CHANNEL, 0, false },
	},
	.holds = HOLDS_CHANNELS | HOLDS_FILES,
	.syscalls = MAY_COMPUTE | MAY_WAIT | MAY_TALK | MAY_FORK | MAY_LIMIT | MAY_SET_WAITING | MAY_OPEN_BELOW | MAY_LOCK_MEMORY | MAY_NARROW,
	.limits = { { RLIMIT_NOFILE, 32 }, { RLIMIT_NPROC, 16384 }, { RLIMIT_FSIZE, 1 << 30 }, { RLIMIT_AS, 256 << 20 } },
};
