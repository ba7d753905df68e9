/* The rights of `remote`: one connection out, one message at a time, read-only.
 * Data only. It makes sockets, but to no other host than by TCP; it has no file, no key and no password. */
#include "remote/privileges.h"

const struct privileges remote_privileges = {
	.process = "remote",
	.purpose = "speaks SMTP as a client with one other host",
	.user = "remote",
	.capabilities = NO_CAPABILITIES,
	.root = EMPTY_ROOT,
	.paths = NO_PATHS,
	.ports = { { 25, true }, { 465, true }, { 587, true } },
	.more_ports = true, /* those of smtproutes, authsenders and tlsdestinations */
	.any_source = true, /* domainips */
	.fds = {
		{ REMOTE_DOOR_FD, "door", FD_CHANNEL, 0, false },
		{ REMOTE_RESOLVE_FD, "resolve", FD_DOORWAY, 0, true }, /* where that service runs */
	},
	.holds = HOLDS_CHANNELS | HOLDS_CONNECTION | HOLDS_MESSAGES,
	.syscalls = MAY_COMPUTE | MAY_WAIT | MAY_TALK | MAY_PAIR | MAY_FORK | MAY_LIMIT | MAY_READ_AT | MAY_CONNECT_INET,
	.limits = { { RLIMIT_NOFILE, 64 }, { RLIMIT_NPROC, 16384 }, { RLIMIT_AS, 128 << 20 } },
	.fds_a_session = 4, /* its connection under way to send */
};
