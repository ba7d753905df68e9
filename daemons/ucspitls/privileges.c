/* The rights of `ucspitls`: channels, and a connection that it hands on without reading from it.
 * Data only. It has no file and no key. */
#include "ucspitls/privileges.h"

const struct privileges ucspitls_privileges = {
	.process = "ucspitls",
	.purpose = "waits until a program asks for TLS on its connection, then joins engine, signer and program",
	.user = "ucspitls",
	.capabilities = NO_CAPABILITIES,
	.root = EMPTY_ROOT,
	.paths = NO_PATHS,
	.ports = NO_PORTS,
	.fds = {
		{ UCSPITLS_DOOR_FD, "door", FD_CHANNEL, 0, false },
		{ UCSPITLS_TLS_FD, "tls", FD_CHANNEL, 0, false },
		{ UCSPITLS_KEYLOAD_FD, "keyload", FD_CHANNEL, 0, false },
	},
	.holds = HOLDS_CHANNELS | HOLDS_CONNECTION,
	.syscalls = MAY_COMPUTE | MAY_WAIT | MAY_TALK | MAY_PAIR | MAY_FORK | MAY_LIMIT,
	.limits = { { RLIMIT_NOFILE, 64 }, { RLIMIT_NPROC, 16384 }, { RLIMIT_AS, 128 << 20 } },
	.fds_a_session = 16, /* six under way for a handshake */
};
