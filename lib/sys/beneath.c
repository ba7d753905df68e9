/* Opening and making of directories below another one.
 * Trusts the kernel to resolve a path (openat2); the user who owns the directories may change them at any moment.
 * Never leaves the directory where the way begins, never uses a directory of another user than that one's. */
#include "sys/beneath.h"

#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int
resolve(int top, const char *path, uint64_t flags, enum beneath_links links)
{
	struct open_how how = { .flags = flags | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS |
		    (links == BENEATH_NO_LINKS ? RESOLVE_NO_SYMLINKS : 0) };

	return (int)syscall(SYS_openat2, top, path, &how, sizeof how);
}

static enum result
say_why_not(int top, const char *path, struct why *why)
{
	int error = errno;
	struct stat st;

	if (fstatat(top, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode) && error == ENOENT)
		return why_set(why, REFUSED, "%s is a symbolic link to something that is not there", path);
	errno = error;
	if (error == EXDEV)
		return why_set(why, REFUSED, "%s leads out of the home directory, by a symbolic link", path);
	if (error == ELOOP)
		return why_set(why, REFUSED, "%s is a symbolic link; expected a directory", path);
	if (error == ENOTDIR)
		return why_set(why, REFUSED, "%s is no directory", path);
	return why_errno(why, result_of_errno(error), "opening %s", path);
}

enum result
beneath_open(int top, const char *path, enum beneath_links links, int *fd, struct why *why)
{
	enum result r = OK;
	struct stat st, owned;

	*fd = resolve(top, path, O_RDONLY, links);
	if (*fd < 0)
		return say_why_not(top, path, why);
	if (fstat(*fd, &st) != 0 || fstatat(top, ".", &owned, 0) != 0)
		r = why_errno(why, BROKEN, "looking at %s", path);
	else if (st.st_uid != owned.st_uid)
		r = why_set(
		    why, REFUSED, "%s belongs to uid %u; expected uid %u, as above it", path, st.st_uid, owned.st_uid);
	if (r != OK)
		fd_close(fd);
	return r;
}

/* Makes the last name of `path`; what is before it is there. */
static enum result
make_last(int top, const char *path, struct why *why)
{
	char above[PATH_MAX];
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
	int n = slash != NULL ? (int)(slash - path) : 1, fd;
	enum result r = OK;

	(void)snprintf(above, sizeof above, "%.*s", n, slash != NULL ? path : ".");
	fd = resolve(top, above, O_PATH, BENEATH_FOLLOW);
	if (fd < 0)
		return say_why_not(top, above, why);
	if (*name != '\0' && mkdirat(fd, name, 0700) != 0 && errno != EEXIST)
		r = why_errno(why, result_of_errno(errno), "making %s", path);
	(void)close(fd);
	return r;
}

enum result
beneath_make(int top, const char *path, struct why *why)
{
	char way[PATH_MAX];
	enum result r = OK;

	if (strlen(path) >= sizeof way)
		return why_set(why, REFUSED, "the name of a directory is too long");
	(void)snprintf(way, sizeof way, "%s", path);
	for (char *slash = strchr(way, '/'); r == OK && slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (way[0] != '\0')
			r = make_last(top, way, why);
		*slash = '/';
	}
	return r == OK ? make_last(top, way, why) : r;
}
