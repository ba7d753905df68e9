/* The rights of `pop3box`: the user's own, and of these only one Maildir.
 * Data only. It has one connection, opens none, and executes nothing. */
#include "pop3box/privileges.h"

const struct privileges pop3box_privileges = {
	.process = "pop3box",
	.purpose = "shows one user's Maildir to one POP3 client",
	.user = "recipient",
	.capabilities = NO_CAPABILITIES,
	.root = GIVEN_HOME,
	.paths = { { ".", PATH_READ | PATH_WRITE } }, /* the Maildir: process_confine has gone there */
	.ports = NO_PORTS,
	.fds = {
		{ POP3BOX_POLICY_FD, "policy", FD_CHANNEL, 0, false },
	},
	.holds = HOLDS_CONNECTION | HOLDS_CHANNELS | HOLDS_FILES,
	.syscalls = MAY_COMPUTE | MAY_WAIT | MAY_TALK | MAY_READ_AT | MAY_OPEN_BELOW | MAY_CHANGE_NAMES,
	.limits = { { RLIMIT_NOFILE, 32 }, { RLIMIT_AS, 1 << 30 } },
};
