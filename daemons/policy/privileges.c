/* The rights of `policy`: its tables, and channels to sessions and to queue.
 * Data only. It sees no octet of the network that smtpd has not made a typed request, and has no file. */
#include "policy/privileges.h"

const struct privileges policy_privileges = {
	.process = "policy",
	.purpose = "decides: who may send what to whom",
	.user = "policy",
	.capabilities = NO_CAPABILITIES,
	.root = EMPTY_ROOT,
	.paths = NO_PATHS,
	.ports = NO_PORTS,
	.fds = {
		{ CONTROL_FD, "control", FD_CONTROL, 0, false },
		{ POLICY_LISTEN_FD, "listen", FD_CHANNEL, 0, false },
		{ POLICY_QUEUE_FD, "queue", FD_DOORWAY, 0, true },     /* not for POP3 */
		{ POLICY_TLS_FD, "tls", FD_CHANNEL, 0, true },         /* not for local programs */
		{ POLICY_RESOLVE_FD, "resolve", FD_DOORWAY, 0, true }, /* where that service runs */
		{ POLICY_KEYLOAD_FD, "keyload", FD_CHANNEL, 0, true }, /* the same */
		{ POLICY_AUTH_FD, "auth", FD_CHANNEL, 0, true },       /* where users authenticate */
		{ POLICY_AUTHRUN_FD, "authrun", FD_CHANNEL, 0, true }, /* where programs know recipients or passwords */
		{ POLICY_RACK_FD, "certificates", FD_TABLE, 0, true }, /* whether there is one to be shown */
		{ POLICY_USERS_FD, "users", FD_CHANNEL, 0, false },    /* from warden: the table of users, anew when it changes */
	},
	.holds = HOLDS_EVENTS | HOLDS_CHANNELS | HOLDS_WRITERS | HOLDS_CONNECTION,
	.syscalls = MAY_COMPUTE | MAY_WAIT | MAY_TALK | MAY_PAIR | MAY_READ_AT,
	.limits = { { RLIMIT_NOFILE, 4096 }, { RLIMIT_NPROC, 0 } },
	.fds_a_session = 12, /* held: channel, connection, facts; under way: six for a handshake, two for a mailbox */
};
