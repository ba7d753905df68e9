/* The rights of `keyring`: the key directory, which is its root, and one channel to warden.
 * Data only. It reads what warden opened for it, and has gone before the service starts.
 * It has no network and nobody to talk to but warden. */
#include "keyring/privileges.h"

const struct privileges keyring_privileges = {
	.process = "keyring",
	.purpose = "checks certificates and keys as pairs before a service starts, writes them as tls and keyload read them",
	.user = "key",
	.capabilities = NO_CAPABILITIES,
	.root = GIVEN_ROOT,
	.paths = { { ".", PATH_READ | PATH_WRITE } },
	.ports = NO_PORTS,
	.fds = {
		{ KEYRING_WARDEN_FD, "warden", FD_CHANNEL, 0, false },
	},
	.syscalls = MAY_COMPUTE | MAY_WAIT | MAY_TALK | MAY_READ_AT | MAY_OPEN_BELOW | MAY_CHANGE_NAMES | MAY_SEAL,
	.limits = { { RLIMIT_NOFILE, 64 }, { RLIMIT_NPROC, 0 }, { RLIMIT_AS, 512 << 20 } },
};
