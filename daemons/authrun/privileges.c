/* The rights of `authrun`: those of a user without any of his own, which the programs that it runs share.
 * Data only. The filter, no_new_privs and the limits are inherited by what it executes. */
#include "authrun/privileges.h"

const struct privileges authrun_privileges = {
	.process = "authrun",
	.purpose = "runs the programs that know passwords and recipients, or asks Dovecot",
	.user = "authrun",
	.capabilities = NO_CAPABILITIES,
	.root = HOST_ROOT, /* programs are there */
	.paths = NO_PATHS,
	.ports = NO_PORTS,
	.fds = {
		{ CONTROL_FD, "control", FD_CONTROL, 0, false },
		{ AUTHRUN_AUTH_FD, "auth", FD_CHANNEL, 0, true }, /* where users authenticate */
		{ AUTHRUN_POLICY_FD, "policy", FD_CHANNEL, 0, false },
	},
	.holds = HOLDS_EVENTS | HOLDS_CHANNELS,
	.syscalls = MAY_RUN_PROGRAMS,
	.limits = { { RLIMIT_NOFILE, 4096 }, { RLIMIT_NPROC, 4096 } },
	.no_landlock = true, /* it would bind the programs, of which nobody here knows what they read */
	.own_groups = true,  /* an administrator's way to let a program read something: /etc/shadow, a socket */
};
