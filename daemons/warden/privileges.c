/* The rights of `warden`: root, because it binds ports and starts processes that then give root up.
 * Data only. Its inputs are signals, the ends of its children and root's own control files; it reads no descriptor
 * that another process writes. */
#include "warden/privileges.h"

#include <linux/capability.h>

#define CAP(c) (UINT64_C(1) << (c))

const struct privileges warden_privileges = {
	.process = "warden",
	.purpose = "starts a service's processes, wires them together, replaces those that fail",
	.user = "root",
	/* what its children need until they have confined themselves; binding; making directories for their owners */
	.capabilities = CAP(CAP_SETUID) | CAP(CAP_SETGID) | CAP(CAP_SETPCAP) | CAP(CAP_SYS_CHROOT) | CAP(CAP_KILL) |
	    CAP(CAP_CHOWN) | CAP(CAP_FOWNER) | CAP(CAP_DAC_OVERRIDE) | CAP(CAP_NET_BIND_SERVICE),
	.root = HOST_ROOT,
	.paths = NO_PATHS,
	.ports = NO_PORTS,
	.fds = NO_FDS,
	.holds = HOLDS_NOTHING,
	.syscalls = MAY_NOTHING,
	.limits = { { RLIMIT_NOFILE, 1 << 20 } },
	.may_raise = true,       /* its supervisor's limit is often 4096 or less: members take what their tables say */
	.outlives_parent = true, /* a supervisor's child */
	.no_landlock = true,     /* it would bind its children, which need other paths */
	.no_seccomp = true,      /* likewise; and it parses nothing but root's own files */
};
