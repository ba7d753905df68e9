/* Confinement: applies a process's privileges, in the order of doc/HOUSE, and proves that they can't be regained.
 * Trusts the privileges table and the arguments of warden; nothing else has been read when this runs.
 * Never goes on when a step fails: a process that is less confined than its table says must not run. */
#include "sys/process.h"

#include "base/bytes.h"
#include "sys/home.h"
#include "sys/log.h"
#include "sys/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef POSTERN_DRILL
#include "sys/drill.h"
#endif

/* What this process may have of it. */
static rlim_t
wanted(const struct process *self, const struct limit *l)
{
	return l->value + (l->resource == RLIMIT_NOFILE ? (rlim_t)self->may->fds_a_session * self->sessions : 0);
}

/* Only lowered, but for what starts all others. */
static enum result
limit_one(const struct process *self, const struct limit *l, struct why *why)
{
	struct rlimit both = { wanted(self, l), wanted(self, l) }, now;

	if (getrlimit((__rlimit_resource_t)l->resource, &now) != 0)
		return why_errno(why, REFUSED, "asking for limit %d", l->resource);
	if (both.rlim_max > now.rlim_max && self->may->may_raise &&
	    setrlimit((__rlimit_resource_t)l->resource, &both) == 0)
		return OK;
	if (both.rlim_max > now.rlim_max) {
		both = (struct rlimit){ now.rlim_max, now.rlim_max };
		if (self->sessions > 0)
			log_simple(SEVERITY_WARNING, "few-descriptors", "why",
			    "the hard limit of open descriptors is lower than the sessions of this service may need");
	}
	if (setrlimit((__rlimit_resource_t)l->resource, &both) != 0)
		return why_errno(why, REFUSED, "setting limit %d", l->resource);
	return OK;
}

static enum result
limit(const struct process *self, struct why *why)
{
	static const struct rlimit none = { 0, 0 };
	const struct privileges *may = self->may;
	enum result r = OK;

	if (setrlimit(RLIMIT_CORE, &none) != 0)
		return why_errno(why, REFUSED, "limiting core dumps");
	for (const struct limit *l = may->limits;
	     l < may->limits + nitems(may->limits) && (l->resource != 0 || l->value != 0) && r == OK; l++) {
#if defined(__SANITIZE_ADDRESS__)
		if (l->resource == RLIMIT_AS || l->resource == RLIMIT_DATA)
			continue; /* the sanitizer maps terabytes */
#endif
		r = limit_one(self, l, why);
	}
	return r;
}

static enum result
bound_capabilities(const struct process *self, struct why *why)
{
	const struct privileges *may = self->may;

	for (unsigned long c = 0; c <= 63; c++) {
		if (may->capabilities & UINT64_C(1) << c)
			continue;
		if (prctl(PR_CAPBSET_DROP, c, 0, 0, 0) != 0 && errno != EINVAL && !self->same_user)
			return why_errno(why, REFUSED, "dropping capability %lu from the bounding set", c);
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
		return why_errno(why, REFUSED, "clearing ambient capabilities");
	return OK;
}

/* Somebody who is not root may lack the right: then landlock keeps the process in the directory where it stands. */
static enum result
change_root_as_anybody(const struct process *self, struct why *why)
{
	if (chdir(self->root) != 0 || (chroot(".") != 0 && errno != EPERM))
		return why_errno(why, REFUSED, "going to %s", self->root);
	return OK;
}

static enum result
change_root(const struct process *self, struct why *why)
{
	if (self->may->root == GIVEN_HOME && self->root != NULL && chdir(self->root) == 0)
		return OK; /* as root: a way that others may not go, to a home that is theirs */
	if (self->may->root == HOST_ROOT || self->may->root == GIVEN_HOME)
		return chdir("/") == 0 ? OK : why_errno(why, REFUSED, "going to /");
	if (self->root == NULL)
		return why_set(why, MALFORMED, "%s was not told its root directory", self->may->process);
	if (self->same_user)
		return change_root_as_anybody(self, why);
	if (chroot(self->root) != 0 || chdir("/") != 0)
		return why_errno(why, REFUSED, "making %s the root", self->root);
	return OK;
}

static enum result
set_capabilities(uint64_t kept, struct why *why)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = {
		{ (uint32_t)kept, (uint32_t)kept, 0 },
		{ (uint32_t)(kept >> 32), (uint32_t)(kept >> 32), 0 },
	};

	if (syscall(SYS_capset, &head, data) != 0)
		return why_errno(why, REFUSED, "setting capabilities");
	return OK;
}

static enum result
check_gone(const struct process *self, struct why *why)
{
	uid_t r, e, s;
	gid_t gr, ge, gs;

	if (getresuid(&r, &e, &s) != 0 || getresgid(&gr, &ge, &gs) != 0)
		return why_errno(why, REFUSED, "asking for ids");
	if (r != self->uid || e != self->uid || s != self->uid || gr != self->gid || ge != self->gid || gs != self->gid)
		return why_set(why, REFUSED, "the ids are not what was set");
	if (setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0 || setegid(0) == 0)
		return why_set(why, REFUSED, "root could be regained");
	return OK;
}

#define GROUPS_MAX 32

/* None, but for a process whose user's groups are how an administrator gives it something. */
static enum result
change_groups(const struct process *self, struct why *why)
{
	struct bytes rest = bytes_of_string(self->groups), one;
	gid_t groups[GROUPS_MAX];
	size_t n = 0;
	uint64_t gid;

	while (self->may->own_groups && self->groups != NULL && bytes_split(&rest, ',', &one)) {
		if (!bytes_to_number(one, UINT32_MAX - 1, &gid) || gid == 0 || n == GROUPS_MAX)
			return why_set(
			    why, REFUSED, "%s may have %d groups, none of them root's", self->may->process, GROUPS_MAX);
		groups[n++] = (gid_t)gid;
	}
	return setgroups(n, groups) == 0 ? OK : why_errno(why, REFUSED, "setting the groups");
}

static enum result
change_ids(const struct process *self, struct why *why)
{
	enum result r;

	if (strcmp(self->may->user, "root") == 0) {
		if (self->uid != 0)
			return why_set(
			    why, MALFORMED, "%s was started for uid %u instead of root", self->may->process, self->uid);
		return set_capabilities(self->may->capabilities, why);
	}
	if (self->uid == 0 || self->gid == 0)
		return why_set(why, REFUSED, "%s must not be root", self->may->process);
	if (self->same_user)
		return set_capabilities(0, why) == OK ? check_gone(self, why) : REFUSED;
	if ((r = change_groups(self, why)) != OK)
		return r;
	if (setresgid(self->gid, self->gid, self->gid) != 0 || setresuid(self->uid, self->uid, self->uid) != 0)
		return why_errno(why, REFUSED, "becoming uid %u, gid %u", self->uid, self->gid);
	if ((r = set_capabilities(0, why)) != OK)
		return r;
	return check_gone(self, why);
}

/* A change of uid resets both dumpability and the parent-death signal, so they come after it. */
static enum result
close_the_door(const struct privileges *may, struct why *why)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return why_errno(why, REFUSED, "setting no_new_privs");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return why_errno(why, REFUSED, "making the process undumpable");
	if (!may->outlives_parent && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
		return why_errno(why, REFUSED, "setting the parent-death signal");
	return OK;
}

/* ---- landlock: everything the kernel knows is handled; only what the table names is allowed ---- */

#define FS_V1 ((UINT64_C(1) << 13) - 1)
#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_REFER (UINT64_C(1) << 13)
#define FS_TRUNCATE (UINT64_C(1) << 14)
#define FS_WRITE \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | \
	    LANDLOCK_ACCESS_FS_MAKE_REG | FS_REFER | FS_TRUNCATE)

/* Kernels and headers differ in what they know: the sizes and bits of each version are written out. */
struct ruleset_attr {
	uint64_t fs, net, scoped;
};
struct net_rule_attr {
	uint64_t allowed, port;
} __attribute__((packed));
#define NET_BIND 1
#define NET_CONNECT 2
#define RULE_NET_PORT 2

static struct ruleset_attr
all_that_is_known(long abi, size_t *size, bool any_port)
{
	struct ruleset_attr a = { .fs = FS_V1 };

	*size = sizeof a.fs;
	if (abi >= 2)
		a.fs |= FS_REFER;
	if (abi >= 3)
		a.fs |= FS_TRUNCATE;
	if (abi >= 4) {
		a.net = any_port ? NET_BIND : NET_BIND | NET_CONNECT;
		*size = sizeof a.fs + sizeof a.net;
	}
	if (abi >= 5)
		a.fs |= UINT64_C(1) << 15; /* ioctl on devices */
	if (abi >= 6) {
		a.scoped = 3; /* abstract sockets and signals */
		*size = sizeof a;
	}
	return a;
}

static enum result
allow_path(int ruleset, const struct path_rule *p, uint64_t handled, struct why *why)
{
	struct landlock_path_beneath_attr a = { 0 };
	enum result r = OK;

	a.parent_fd = open(p->path, O_PATH | O_CLOEXEC | O_DIRECTORY);
	if (a.parent_fd < 0)
		return why_errno(why, REFUSED, "opening %s", p->path);
	a.allowed_access = ((p->rights & PATH_READ ? FS_READ : 0) | (p->rights & PATH_WRITE ? FS_WRITE : 0) |
			       (p->rights & PATH_LIST ? LANDLOCK_ACCESS_FS_READ_DIR : 0)) &
	    handled;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &a, 0) != 0)
		r = why_errno(why, REFUSED, "allowing %s", p->path);
	(void)close(a.parent_fd);
	return r;
}

static enum result
allow_port(int ruleset, uint64_t right, uint64_t port, struct why *why)
{
	struct net_rule_attr a = { right, port };

	if (syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &a, 0) != 0)
		return why_errno(why, REFUSED, "allowing port %u", (unsigned)port);
	return OK;
}

/* Those that it was told at start. */
static enum result
allow_more_ports(int ruleset, const struct process *self, struct why *why)
{
	struct bytes rest = bytes_of_string(self->ports), one;
	enum result r = OK;
	uint64_t port;

	while (r == OK && self->may->more_ports && self->ports != NULL && bytes_split(&rest, ',', &one))
		r = bytes_to_number(one, 65535, &port) ? allow_port(ruleset, NET_CONNECT, port, why)
						       : why_set(why, MALFORMED, "-p has no port in it");
	return r;
}

static bool
has_any_port(const struct process *self)
{
	return self->may->more_ports && self->ports != NULL && strcmp(self->ports, "any") == 0;
}

static enum result
allow_paths(int ruleset, const struct privileges *may, const struct ruleset_attr *all, struct why *why)
{
	enum result r = OK;

	for (const struct path_rule *p = may->paths; p < may->paths + nitems(may->paths) && p->path != NULL; p++)
		if (r == OK)
			r = allow_path(ruleset, p, all->fs, why);
	return r;
}

static enum result
fill_ruleset(int ruleset, const struct process *self, bool has_paths, const struct ruleset_attr *all, struct why *why)
{
	const struct privileges *may = self->may;
	enum result r;

	if (has_paths && (r = allow_paths(ruleset, may, all, why)) != OK)
		return r;
	if (all->net == 0)
		return OK;
	for (const struct port_rule *p = may->ports; p < may->ports + nitems(may->ports) && p->port != 0; p++)
		if (!(p->connect && has_any_port(self)) &&
		    (r = allow_port(ruleset, p->connect ? NET_CONNECT : NET_BIND, p->port, why)) != OK)
			return r;
	/* port 0: the kernel takes a free one */
	if (may->any_source && (r = allow_port(ruleset, NET_BIND, 0, why)) != OK)
		return r;
	return has_any_port(self) ? OK : allow_more_ports(ruleset, self, why);
}

static long
landlock_version(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

bool
process_may_use_landlock(void)
{
	return landlock_version() >= 1;
}

static enum result
lock_land(const struct process *self, bool has_paths, struct why *why)
{
	struct ruleset_attr all;
	enum result r;
	size_t size;
	long abi, ruleset;

	if (self->may->no_landlock)
		return OK;
	abi = landlock_version();
	if (abi < 1 && self->lenient)
		return OK;
	if (abi < 1)
		return why_set(why, REFUSED,
		    "there is no landlock: the kernel lacks it, or this container hides it (let its filter allow the "
		    "landlock_ system calls); the control item `lenient` allows to run without");
	all = all_that_is_known(abi, &size, has_any_port(self));
	ruleset = syscall(SYS_landlock_create_ruleset, &all, size, 0);
	if (ruleset < 0)
		return why_errno(why, REFUSED, "making a landlock ruleset");
	r = fill_ruleset((int)ruleset, self, has_paths, &all, why);
	if (r == OK && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		r = why_errno(why, REFUSED, "applying landlock");
	(void)close((int)ruleset);
	return r;
}

#if defined(__SANITIZE_ADDRESS__)
/* The leak sanitizer looks with a thread of its own, for which a confined process has no right; it asks here, at the end. */
static bool confined;
int __lsan_is_turned_off(void);
int
__lsan_is_turned_off(void)
{
	return confined;
}
#endif

/* go_home: null for a process that has none. With a home that can't be used a process has no path at all, and stands at the
 * root directory. */
static enum result
confine(const struct process *self, enum result (*go_home)(const struct process *self, struct why *why),
    struct why *away, struct why *why)
{
	const struct privileges *may = self->may;
	enum result r, home;

	if ((r = limit(self, why)) != OK || (r = bound_capabilities(self, why)) != OK ||
	    (r = change_root(self, why)) != OK || (r = change_ids(self, why)) != OK)
		return r;
	home = go_home != NULL ? go_home(self, away) : OK;
	if (home != OK && chdir("/") != 0)
		return why_errno(why, REFUSED, "going to /");
	if ((r = close_the_door(may, why)) != OK || (r = lock_land(self, home == OK, why)) != OK)
		return r;
#if defined(__SANITIZE_ADDRESS__)
	confined = true;
#endif
	if (!may->no_seccomp &&
	    (r = may->syscalls & MAY_RUN_PROGRAMS ? syscalls_filter_programs(may->syscalls, why)
						  : syscalls_filter(may->syscalls, why)) != OK)
		return r;
#ifdef POSTERN_DRILL
	if (self->attempt > 0)
		drill_attempt(self);
#endif
	return OK;
}

enum result
process_confine(const struct process *self, struct why *why)
{
	if (self->may->root == GIVEN_HOME)
		return why_set(why, BROKEN, "%s has a home to go to", self->may->process);
	return confine(self, NULL, NULL, why);
}

enum result
process_confine_home(const struct process *self, struct why *away, struct why *why)
{
	return confine(self, home_go, away, why);
}
