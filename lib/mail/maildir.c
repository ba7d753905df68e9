/* Maildir deliveries.
 * Trusts the user whose directory it is, and nobody else: paths stay beneath the home.
 * Never leaves a file in new that was not whole in tmp, never replaces a file. */
#include "mail/maildir.h"

#include "sys/beneath.h"
#include "sys/clock.h"
#include "sys/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define OLD_SECONDS (36 * 3600)

static enum result
flush_directory(const char *path, struct why *why)
{
	int fd = -1;
	enum result r = beneath_open(AT_FDCWD, path, BENEATH_FOLLOW, &fd, why);

	if (r == OK && fsync(fd) != 0)
		r = why_errno(why, result_of_errno(errno), "bringing %s to disk", path);
	fd_close(&fd);
	return r;
}

/* the directories on the way to path, and path */
static enum result
flush_way(const char *path, struct why *why)
{
	char name[MAILDIR_PATH_MAX + 1];
	enum result r = OK;

	(void)snprintf(name, sizeof name, "%s", path);
	for (char *slash = strchr(name, '/'); r == OK && slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		r = flush_directory(name, why);
		*slash = '/';
	}
	return r == OK ? flush_directory(name, why) : r;
}

/* A message is on disk only if the way to it is. */
static enum result
make_maildir(const char *path, struct why *why)
{
	static const char *const parts[] = { "tmp", "new", "cur" };
	char name[MAILDIR_PATH_MAX + 8];
	enum result r = OK;

	for (size_t i = 0; r == OK && i < nitems(parts); i++) {
		(void)snprintf(name, sizeof name, "%s/%s", path, parts[i]);
		r = beneath_make(AT_FDCWD, name, why);
	}
	if (r == OK && (r = flush_directory(".", why)) == OK)
		r = flush_way(path, why);
	return r;
}

static bool
is_relative(struct bytes path)
{
	struct bytes piece;

	if (path.len == 0 || path.len > MAILDIR_PATH_MAX || path.at[0] == '/' || bytes_find(path, '\0') < path.len)
		return false;
	while (bytes_split(&path, '/', &piece))
		if (bytes_equal(piece, BYTES("..")))
			return false;
	return true;
}

/* tmp and new are directories of the Maildir itself: pop3box, which may not leave the Maildir, could not follow a link. */
static enum result
open_parts(struct maildir *d, const char *path, struct why *why)
{
	struct why part = WHY_NONE;
	int top = -1;
	enum result r = beneath_open(AT_FDCWD, path, BENEATH_FOLLOW, &top, why);

	if (r != OK)
		return r;
	if ((r = beneath_open(top, "tmp", BENEATH_NO_LINKS, &d->tmp_fd, &part)) != OK ||
	    (r = beneath_open(top, "new", BENEATH_NO_LINKS, &d->new_fd, &part)) != OK)
		r = why_set(why, r, "in %s: %s", path, part.text);
	fd_close(&top);
	return r;
}

enum result
maildir_open(struct maildir *d, struct bytes path, bool make, struct why *why)
{
	char name[MAILDIR_PATH_MAX + 1];
	struct why missing = WHY_NONE;
	enum result r;

	*d = (struct maildir){ -1, -1 };
	while (path.len > 1 && path.at[path.len - 1] == '/')
		path.len--;
	if (!is_relative(path))
		return why_set(why, REFUSED, "a Maildir must be below the home directory");
	memcpy(name, path.at, path.len);
	name[path.len] = '\0';
	r = open_parts(d, name, &missing);
	if (r == ABSENT && make) {
		maildir_close(d);
		if ((r = make_maildir(name, why)) == OK)
			r = open_parts(d, name, why);
	} else if (r != OK)
		(void)!why_set(why, r, "%s", missing.text);
	if (r != OK)
		maildir_close(d);
	return r;
}

void
maildir_close(struct maildir *d)
{
	fd_close(&d->tmp_fd);
	fd_close(&d->new_fd);
}

/* time.MmicrosecondsPpidQcountRrandom.host: the random part stands for the host, whose name this process does not know
 * and which means nothing to a reader */
static void
name_delivery(char name[MAILDIR_NAME_MAX])
{
	static uint32_t count, random;
	static pid_t pid;
	uint64_t now = clock_wall_us();

	if (random == 0 && getrandom(&random, sizeof random, 0) != sizeof random)
		random = 1;
	if (pid == 0)
		pid = getpid(); /* local never forks */
	(void)snprintf(name, MAILDIR_NAME_MAX, "%llu.M%06lluP%dQ%uR%08x.postern", (unsigned long long)(now / 1000000),
	    (unsigned long long)(now % 1000000), (int)pid, ++count, random);
}

enum result
maildir_begin(const struct maildir *d, struct maildir_delivery *m, struct why *why)
{
	name_delivery(m->name);
	m->fd = openat(d->tmp_fd, m->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (m->fd < 0) {
		enum result r = why_errno(why, result_of_errno(errno), "making tmp/%s", m->name);

		m->name[0] = '\0'; /* whatever has that name is not ours to drop */
		return r;
	}
	return OK;
}

/* A filesystem that can't rename without replacing (NFS) can link. */
static int
name_in_new(const struct maildir *d, const char *name)
{
	if (renameat2(d->tmp_fd, name, d->new_fd, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (linkat(d->tmp_fd, name, d->new_fd, name, 0) != 0)
		return -1;
	(void)unlinkat(d->tmp_fd, name, 0); /* if not now, then after 36 hours */
	return 0;
}

enum result
maildir_finish(const struct maildir *d, struct maildir_delivery *m, struct why *why)
{
	if (name_in_new(d, m->name) != 0)
		return why_errno(why, result_of_errno(errno), "naming new/%s", m->name);
	fd_close(&m->fd);
	m->name[0] = '\0';
	return OK;
}

void
maildir_drop(const struct maildir *d, struct maildir_delivery *m)
{
	if (m->name[0] != '\0')
		(void)unlinkat(d->tmp_fd, m->name, 0);
	fd_close(&m->fd);
	m->name[0] = '\0';
}

void
maildir_clean(const struct maildir *d, uint64_t now_s)
{
	int fd = openat(d->tmp_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	struct stat st;

	if (dir == NULL) {
		fd_close(&fd);
		return;
	}
	while ((e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.' && fstatat(d->tmp_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && (uint64_t)st.st_mtime + OLD_SECONDS < now_s)
			(void)unlinkat(d->tmp_fd, e->d_name, 0);
	(void)closedir(dir);
}
