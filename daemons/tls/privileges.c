/* The rights of `tls`: public certificates, and what comes with a connection.
 * Data only. It has no key and no way to one but a channel that buys a single signature.
 * It opens no file and makes no socket. */
#include "tls/privileges.h"

const struct privileges tls_privileges = {
	.process = "tls",
	.purpose = "speaks TLS with one peer, plain text with one front end",
	.user = "tls",
	.capabilities = NO_CAPABILITIES,
	.root = EMPTY_ROOT,
	.paths = NO_PATHS,
	.ports = NO_PORTS,
	.fds = {
		{ TLS_DOOR_FD, "door", FD_CHANNEL, 0, false },
		{ TLS_RACK_FD, "certificates", FD_TABLE, 0, false },
	},
	.holds = HOLDS_CHANNELS | HOLDS_CONNECTION,
	.syscalls = MAY_COMPUTE | MAY_WAIT | MAY_TALK | MAY_FORK | MAY_LIMIT | MAY_SET_WAITING | MAY_SHUT | MAY_READ_AT,
	.limits = { { RLIMIT_NOFILE, 32 }, { RLIMIT_NPROC, 16384 }, { RLIMIT_FSIZE, 1 << 30 }, { RLIMIT_AS, 256 << 20 } },
};
