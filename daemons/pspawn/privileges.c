/* The rights of `pspawn`: root, to become the users whose programs are to be run; no other capability.
 * Data only. A filter can't be taken off and users' programs inherit it, so it says what is refused, not what is allowed; that is why
 * this process is not lspawn. */
#include "pspawn/privileges.h"

#include <linux/capability.h>

#define CAP(c) (UINT64_C(1) << (c))

const struct privileges pspawn_privileges = {
	.process = "pspawn",
	.purpose = "starts the processes that run users' programs",
	.user = "root",
	.capabilities = CAP(CAP_SETUID) | CAP(CAP_SETGID) | CAP(CAP_SETPCAP),
	.root = HOST_ROOT,
	.paths = NO_PATHS,
	.ports = NO_PORTS,
	.fds = {
		{ CONTROL_FD, "control", FD_CONTROL, 0, false },
		{ PSPAWN_SEND_FD, "send", FD_CHANNEL, 0, false },
		{ PSPAWN_PIPE_FD, "pipe", FD_PROGRAM, 0, false },
		{ PSPAWN_USERS_FD, "users", FD_CHANNEL, 0, false }, /* from warden: the table of those whom it may become */
	},
	.holds = HOLDS_CHANNELS,
	.syscalls = MAY_RUN_PROGRAMS | MAY_BECOME | MAY_FORK,
	.limits = { { RLIMIT_NOFILE, 4096 } },
	.no_landlock = true, /* it would bind every user's programs */
};
