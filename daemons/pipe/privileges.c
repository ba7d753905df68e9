/* The rights of `pipe`: the recipient's own, which the programs of that user share.
 * Data only. The filter, no_new_privs and the limits are inherited by what it executes. */
#include "pipe/privileges.h"

const struct privileges pipe_privileges = {
	.process = "pipe",
	.purpose = "runs the programs that one user's .qmail files name",
	.user = "recipient",
	.capabilities = NO_CAPABILITIES,
	.root = HOST_ROOT, /* programs are there */
	.paths = NO_PATHS,
	.ports = NO_PORTS,
	.fds = {
		{ PIPE_SEND_FD, "send", FD_CHANNEL, 0, false },
	},
	.holds = HOLDS_EVENTS | HOLDS_MESSAGES | HOLDS_FILES,
	.syscalls = MAY_RUN_PROGRAMS,
	.limits = { { RLIMIT_NOFILE, 1024 }, { RLIMIT_NPROC, 1024 } },
	.outlives_parent = true, /* for as long as it takes to end its programs: it ends when send's end of the channel closes */
	.no_landlock = true, /* it would bind the programs, of which nobody here knows what they need */
};
