/* The rights of `sslserver`: root, because it binds a port, starts tls, keyload and keyring, and programs as other users.
 * Data only. Its inputs are its command line and environment, root's files, signals and the ends of its children; it
 * accepts connections and reads no octet of them. */
#include "sslserver/privileges.h"

#include <linux/capability.h>

const struct privileges sslserver_privileges = {
	.process = "sslserver",
	.purpose = "accepts connections for a program, starts it and the processes that do TLS for it",
	.user = "root",
	.capabilities = ~UINT64_C(0), /* those of the program that it starts, which may be root's */
	.root = HOST_ROOT,
	.paths = NO_PATHS,
	.ports = NO_PORTS,
	.fds = NO_FDS,
	.holds = HOLDS_NOTHING,
	.syscalls = MAY_NOTHING,
	.outlives_parent = true, /* a supervisor's child */
	.no_landlock = true,     /* it would bind the program */
	.no_seccomp = true,      /* likewise */
	.may_gain = true,        /* the program may execute a setuid one: qmail-queue is */
};
