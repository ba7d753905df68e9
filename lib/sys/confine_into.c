/* The change of ids before a program that is not of this house, and of namespaces before one that is.
 * Trusts its caller for who is meant; the kernel's word is checked.
 * Never goes on half way: a failure is a refusal to start the program. */
#include "sys/confine_into.h"

#include "base/buf.h"
#include "sys/fd.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
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
