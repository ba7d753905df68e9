/* The change of ids before a program that is not of this house.
 * Trusts its caller for who is meant; the kernel's word is checked.
 * Never goes on half way: a failure is a refusal to start the program. */
#include "sys/confine_into.h"

#include <grp.h>
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
