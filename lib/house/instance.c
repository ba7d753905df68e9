/* Directories and users of an installation.
 * Trusts root's control files and the passwd file.
 * Never uses a directory that somebody else could have put in its place. */
#include "house/instance.h"

#include "base/buf.h"
#include "base/bytes.h"
#include "config.h"
#include "sys/fd.h"
#include "house/house.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UIDS_MAX 8192

static bool
line_owner(struct bytes line, const char *user, struct owner *owner)
{
	struct bytes name, uid, gid, group;
	uint64_t u, g;

	if (!bytes_split(&line, ':', &name) || !bytes_equal(name, bytes_of_string(user)) ||
	    !bytes_split(&line, ':', &uid))
		return false;
	line = bytes_trim(line);
	if (!bytes_split(&line, ',', &gid) || !bytes_to_number(uid, UINT32_MAX - 1, &u) ||
	    !bytes_to_number(gid, UINT32_MAX - 1, &g))
		return false;
	*owner = (struct owner){ .uid = (uid_t)u, .gid = (gid_t)g };
	while (bytes_split(&line, ',', &group))
		if (!bytes_to_number(group, UINT32_MAX - 1, &g) || owner->n_groups == OWNER_GROUPS_MAX)
			return false;
		else
			owner->groups[owner->n_groups++] = (gid_t)g;
	return true;
}

static enum result
from_file(int fd, const char *user, struct owner *owner, struct why *why)
{
	char text[UIDS_MAX];
	struct bytes rest, line;
	size_t n;
	enum result r = fd_pread_all(fd, text, sizeof text, 0, &n);

	if (r != OK)
		return why_errno(why, r, "reading uids");
	rest = bytes_of(text, n);
	while (bytes_split(&rest, '\n', &line))
		if (line_owner(line, user, owner))
			return OK;
	return why_set(why, ABSENT,
	    "uids: expected a line %s:UID:GID (postern plan --users lists all names that it must have)", user);
}

static void
from_passwd(const struct passwd *pw, struct owner *owner)
{
	gid_t all[OWNER_GROUPS_MAX];
	int n = nitems(all);

	*owner = (struct owner){ .uid = pw->pw_uid, .gid = pw->pw_gid };
	if (getgrouplist(pw->pw_name, pw->pw_gid, all, &n) < 0)
		n = nitems(all);
	for (int i = 0; i < n; i++)
		if (all[i] != pw->pw_gid)
			owner->groups[owner->n_groups++] = all[i];
}

bool
owner_list_groups(const struct owner *owner, char *text, size_t size)
{
	struct buf b = buf_over(text, size);

	for (size_t i = 0; i < owner->n_groups; i++)
		buf_format(&b, "%s%u", b.len > 0 ? "," : "", owner->groups[i]);
	return b.len > 0 && buf_string(&b) != NULL;
}

enum result
instance_owner(const struct instance *in, const char *role, struct owner *owner, struct why *why)
{
	char name[HOUSE_USER_LEN + 1];

	*owner = (struct owner){ .uid = in->same_user ? geteuid() : 0, .gid = in->same_user ? getegid() : 0 };
	if (strcmp(role, "root") == 0 || in->same_user)
		return OK;
	if (strcmp(role, "tls") == 0 && in->engine.uid != 0) {
		*owner = in->engine;
		return OK;
	}
	house_user_name(role, in->service, name);
	return instance_user(in, name, owner, why);
}

enum result
instance_user(const struct instance *in, const char *user, struct owner *owner, struct why *why)
{
	char name[512];
	struct passwd *pw;
	enum result r;
	int fd;

	(void)snprintf(name, sizeof name, "%s/uids", in->control);
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0) {
		r = from_file(fd, user, owner, why);
		(void)close(fd);
	} else {
		(void)snprintf(name, sizeof name, "%s%s", POSTERN_USER_PREFIX, user);
		if ((pw = getpwnam(name)) == NULL)
			return why_set(why, ABSENT,
			    "there is no user %s: run postern-setup, which adds the users that are missing", name);
		from_passwd(pw, owner);
		r = OK;
	}
	if (r == OK && (owner->uid == 0 || owner->gid == 0))
		return why_set(why, REFUSED, "%s must have a uid and gid of its own, not root's", user);
	return r;
}

/* What is above a directory that configure named: root's, as mkdir -p would make it. */
static void
make_parents(const char *path)
{
	char above[PATH_MAX];

	for (size_t n = 1; path[n] != '\0' && n < sizeof above; n++)
		if (path[n] == '/') {
			memcpy(above, path, n);
			above[n] = '\0';
			(void)mkdir(above, 0755); /* what fails here fails again where it counts */
		}
}

static enum result
make_directory(const char *path, mode_t mode, const struct owner *owner, struct why *why)
{
	struct stat st;

	/* what is root's is there at once as it shall be: wardens of two services may start together */
	make_parents(path);
	if (mkdir(path, owner->uid == 0 ? mode : 0700) == 0) {
		if (chown(path, owner->uid, owner->gid) != 0 || chmod(path, mode) != 0)
			return why_errno(why, BROKEN, "giving %s to its owner", path);
		return OK;
	}
	if (errno != EEXIST)
		return why_errno(why, BROKEN, "making %s", path);
	if (lstat(path, &st) != 0)
		return why_errno(why, BROKEN, "looking at %s", path);
	if (!S_ISDIR(st.st_mode) || st.st_uid != owner->uid || (st.st_mode & 07777) != mode)
		return why_set(why, REFUSED,
		    "%s %s of uid %u with mode %03o; expected a directory of uid %u with mode %03o. If it is this "
		    "host's: "
		    "chown -R %u:%u %s && chmod %03o %s",
		    path, S_ISDIR(st.st_mode) ? "is a directory" : "is a file", st.st_uid,
		    (unsigned)(st.st_mode & 07777), owner->uid, (unsigned)mode, owner->uid, owner->gid, path,
		    (unsigned)mode, path);
	return OK;
}

/* A directory without directories in it. What is not there is no trouble; what can't be removed stays. */
static void
directory_remove(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (d == NULL) {
		fd_close(&fd);
		return;
	}
	while ((e = readdir(d)) != NULL)
		(void)unlinkat(fd, e->d_name, 0);
	(void)closedir(d);
	(void)rmdir(path);
}

/* the directory that a process of GIVEN_ROOT is for: the queue, or the service's keys */
static const char *
given_root(const struct instance *in, const struct privileges *p)
{
	return strcmp(p->user, "key") == 0 ? in->keys : in->queue;
}

const char *
instance_root(const struct instance *in, const struct privileges *p)
{
	return p->root == EMPTY_ROOT ? in->empty : p->root == GIVEN_ROOT ? given_root(in, p) : NULL;
}

enum result
instance_each_directory(const struct instance *in, instance_look *look, void *ctx, struct why *why)
{
	static const struct owner root = { .uid = 0 };
	const char *members[HOUSE_MEMBERS_MAX];
	size_t n = house_members(in->service, members);
	struct owner owner;
	enum result r;

	if ((r = look(ctx, in->run, 0755, &root, why)) != OK || (r = look(ctx, in->empty, 0555, &root, why)) != OK)
		return r;
	for (size_t i = 0; i < n; i++) {
		const struct privileges *p = house_privileges(members[i]);

		if (p->root != GIVEN_ROOT || strcmp(p->user, "recipient") == 0)
			continue;
		if ((r = instance_owner(in, p->user, &owner, why)) != OK ||
		    (r = look(ctx, given_root(in, p), 0700, &owner, why)) != OK)
			return r;
	}
	return OK;
}

/* Keys that another user's keyring wrote: an older version had one for all services, and its keyload may still read them. They stay
 * for that process, whose root they are, under another name; the next start removes them. */
static void
put_keys_aside(const char *keys, const struct owner *owner)
{
	char old[PATH_MAX];
	struct stat st;

	(void)snprintf(old, sizeof old, "%s.old", keys);
	directory_remove(old);
	if (lstat(keys, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid != owner->uid)
		(void)rename(keys, old); /* what fails here fails again where it counts */
}

static enum result
make_one(void *ctx, const char *path, mode_t mode, const struct owner *owner, struct why *why)
{
	const struct instance *in = ctx;

	if (path == in->keys)
		put_keys_aside(path, owner);
	return make_directory(path, mode, owner, why);
}

enum result
instance_prepare(const struct instance *in, struct why *why)
{
	struct instance all = *in;

	return instance_each_directory(&all, make_one, &all, why);
}
