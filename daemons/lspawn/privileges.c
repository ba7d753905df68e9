/* The rights of `lspawn`: root, to become the users it is told; no other capability.
 * Data only. Its filter and its missing landlock are those that what it starts needs before confining itself. */
#include "lspawn/privileges.h"

#include <linux/capability.h>

#define CAP(c) (UINT64_C(1) << (c))

const struct privileges lspawn_privileges = {
	.process = "lspawn",
	.purpose = "starts the processes of users: deliveries, mailboxes",
	.user = "root",
	.capabilities = CAP(CAP_SETUID) | CAP(CAP_SETGID) | CAP(CAP_SETPCAP),
	.root = HOST_ROOT,
	.paths = NO_PATHS,
	.ports = NO_PORTS,
	.fds = {
		{ CONTROL_FD, "control", FD_CONTROL, 0, false },
		{ LSPAWN_SEND_FD, "send", FD_CHANNEL, 0, true },     /* these three in the service send, */
		{ LSPAWN_LOCAL_FD, "local", FD_PROGRAM, 0, true },
		{ LSPAWN_INSTRUCT_FD, "instruct", FD_PROGRAM, 0, true },
		{ LSPAWN_AUTH_FD, "auth", FD_CHANNEL, 0, true },     /* these in the services for POP3 */
		{ LSPAWN_POP3BOX_FD, "pop3box", FD_PROGRAM, 0, true },
		{ LSPAWN_USERS_FD, "users", FD_CHANNEL, 0, false },  /* from warden: the table of those whom it may become */
	},
	.holds = HOLDS_CHANNELS,
	.syscalls = MAY_COMPUTE | MAY_WAIT | MAY_TALK | MAY_FORK | MAY_EXEC | MAY_BECOME | MAY_READ_AT | MAY_WRITE_AT |
	    MAY_OPEN_BELOW | MAY_CHANGE_NAMES | MAY_THREAD | MAY_LOCK_FILES,
	.limits = { { RLIMIT_NOFILE, 4096 } },
	.no_landlock = true, /* it would bind every user's process to one home */
};
