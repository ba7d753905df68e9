/* The rights of `send`: queue files one at a time, read-only, as descriptors; channels to those who deliver.
 * Data only. It has no network and opens no file. */
#include "send/privileges.h"

const struct privileges send_privileges = {
	.process = "send",
	.purpose = "schedules deliveries, records their results, writes reports",
	.user = "send",
	.capabilities = NO_CAPABILITIES,
	.root = EMPTY_ROOT,
	.paths = NO_PATHS,
	.ports = NO_PORTS,
	.fds = {
		{ CONTROL_FD, "control", FD_CONTROL, 0, false },
		{ SEND_QUEUE_FD, "queue", FD_CHANNEL, 0, false },
		{ SEND_BOUNCES_FD, "bounces", FD_CHANNEL, 0, false },
		{ SEND_LSPAWN_FD, "lspawn", FD_CHANNEL, 0, false },
		{ SEND_PSPAWN_FD, "pspawn", FD_CHANNEL, 0, false },
		{ SEND_REMOTE_FD, "remote", FD_CHANNEL, 0, false },
		{ SEND_KEYLOAD_FD, "keyload", FD_CHANNEL, 0, false },
		{ SEND_TLS_FD, "tls", FD_CHANNEL, 0, false },
		{ SEND_USERS_FD, "users", FD_CHANNEL, 0, false }, /* from warden: the table of users, anew when it changes */
	},
	.holds = HOLDS_EVENTS | HOLDS_CHANNELS | HOLDS_MESSAGES | HOLDS_WRITERS | HOLDS_CONNECTION,
	.syscalls = MAY_COMPUTE | MAY_WAIT | MAY_TALK | MAY_PAIR | MAY_READ_AT,
	.limits = { { RLIMIT_NOFILE, 8192 }, { RLIMIT_NPROC, 0 } },
	.fds_a_session = 16, /* held: channels, facts; under way: messages, and five for a handshake */
};
