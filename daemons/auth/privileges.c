/* The rights of `auth`: the table of passwords in its control items, and channels.
 * Data only. It has no file, no network and starts no program. */
#include "auth/privileges.h"

const struct privileges auth_privileges = {
	.process = "auth",
	.purpose = "knows who somebody is: checks passwords",
	.user = "auth",
	.capabilities = NO_CAPABILITIES,
	.root = EMPTY_ROOT,
	.paths = NO_PATHS,
	.ports = NO_PORTS,
	.fds = {
		{ CONTROL_FD, "control", FD_CONTROL, 0, false },
		{ AUTH_POLICY_FD, "policy", FD_CHANNEL, 0, false },
		{ AUTH_LSPAWN_FD, "lspawn", FD_CHANNEL, 0, true }, /* in the services for POP3 */
		{ AUTH_AUTHRUN_FD, "authrun", FD_CHANNEL, 0, true }, /* where programs know recipients or passwords */
		{ AUTH_USERS_FD, "users", FD_CHANNEL, 0, false }, /* from warden: the table of users, anew when it changes */
	},
	.holds = HOLDS_EVENTS | HOLDS_CHANNELS,
	.syscalls = MAY_COMPUTE | MAY_WAIT | MAY_TALK | MAY_READ_AT | MAY_THREAD,
	.limits = { { RLIMIT_NOFILE, 64 } },
	.fds_a_session = 4, /* a mailbox's channel, waiting or under way */
};
