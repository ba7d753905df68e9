/* The change of ids before a program that is not of this house, and of namespaces before one that is.
 * Trusts its caller for who is meant; the kernel's word is checked.
 * Never goes on half way: a failure is a refusal to start the program. */
#include "sys/confine_into.h"

#include "base/buf.h"
#include "sys/fd.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum result
process_become(uid_t uid, gid_t gid, struct why *why)
{
	if (geteuid() != 0) {
		if (uid != geteuid() || gid != getegid())
			return why_set(why, REFUSED, "only root can become uid %u", uid);
		return OK;
	}
	if (uid == 0 && gid == 0)
		return OK;
	if (setgroups(1, &gid) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
		return why_errno(why, REFUSED, "becoming uid %u, gid %u", uid, gid);
	if (getuid() != uid || geteuid() != uid || getgid() != gid || getegid() != gid)
		return why_set(why, REFUSED, "the ids are not what was set");
	if (uid != 0 && (setuid(0) == 0 || seteuid(0) == 0))
		return why_set(why, REFUSED, "root could be regained");
	return OK;
}

/* A domain has to handle something: what is named is allowed again, everywhere. */
enum result
process_wall_off(struct why *why)
{
	struct {
		uint64_t fs, net, scoped;
	} attr = { .fs = LANDLOCK_ACCESS_FS_MAKE_BLOCK | UINT64_C(1) << 13 /* refer */ };
	struct landlock_path_beneath_attr everywhere = { .allowed_access = attr.fs };
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION), ruleset;
	bool done;

	if (abi < 2)
		return why_set(why, ABSENT, "the kernel has no landlock, or one too old");
	if (abi >= 6)
		attr.scoped = 2; /* signals */
	ruleset = syscall(SYS_landlock_create_ruleset, &attr, abi >= 6 ? sizeof attr : sizeof attr.fs, 0);
	everywhere.parent_fd = open("/", O_PATH | O_CLOEXEC);
	done = ruleset >= 0 && everywhere.parent_fd >= 0 &&
	    syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &everywhere, 0) == 0 &&
	    syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
	if (ruleset >= 0)
		(void)close((int)ruleset);
	if (everywhere.parent_fd >= 0)
		(void)close(everywhere.parent_fd);
	return done ? OK : why_errno(why, ABSENT, "making a landlock domain");
}

static enum result
write_file(const char *path, const struct buf *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	enum result r = fd < 0 ? BROKEN : fd_write_all(fd, buf_bytes(text));

	fd_close(&fd);
	return r;
}

/* In the namespace, and through the exec of a process that then gives them up. */
static bool
keep_capabilities(void)
{
	static const unsigned kept[] = { CAP_SYS_CHROOT, CAP_SETPCAP };
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];
	bool good = syscall(SYS_capget, &head, data) == 0;

	for (size_t i = 0; i < nitems(kept); i++)
		data[0].inheritable |= 1u << kept[i];
	good = good && syscall(SYS_capset, &head, data) == 0;
	for (size_t i = 0; i < nitems(kept); i++)
		good = good && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, kept[i], 0, 0) == 0;
	return good;
}

enum result
process_apart(struct why *why)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	uint8_t room[3][64];
	struct buf deny = BUF_OVER(room[0]), users = BUF_OVER(room[1]), groups = BUF_OVER(room[2]);

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC) != 0)
		return OK;
	buf_add_string(&deny, "deny");
	buf_format(&users, "%u %u 1", uid, uid);
	buf_format(&groups, "%u %u 1", gid, gid);
	if (write_file("/proc/self/setgroups", &deny) != OK || write_file("/proc/self/uid_map", &users) != OK ||
	    write_file("/proc/self/gid_map", &groups) != OK || !keep_capabilities())
		return why_errno(why, BROKEN, "setting up a user namespace");
	return OK;
}
