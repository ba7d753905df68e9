/* An mbox: locked, appended to, flushed; as long as it was before if anything fails.
 * Trusts the kernel's locks; those of other programs only as far as these keep to one of the three.
 * Never writes into what is no plain file, never leaves a part of a message behind. */
#include "local/mbox.h"

#include "mail/from_line.h"
#include "sys/beneath.h"
#include "sys/clock.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STEP_MS 100
#define STALE_S 900 /* a FILE.lock that is older belongs to nobody any more */
#define MARK "postern\n"
#define MARK_LEN (sizeof MARK - 1)
#define MARK_MODE 0400

struct mbox {
	char path[PATH_MAX], lock[PATH_MAX];
	int dir_fd, fd;
	bool has_lock; /* the file FILE.lock is ours */
	bool is_new;
	off_t size; /* before */
};

/* ---- locks ---- */

static bool
lock_range(int fd)
{
	struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_SETLK, &all) == 0;
}

/* What a local that was killed left: it is known by size and mode, and no living one has it, since that would have the kernel's locks,
 * which are ours now. Of other programs only what is old. */
static void
remove_stale(const struct mbox *m)
{
	struct stat st;

	if (fstatat(m->dir_fd, m->lock, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return;
	if ((st.st_size == MARK_LEN && (st.st_mode & 07777) == MARK_MODE) ||
	    (uint64_t)st.st_mtim.tv_sec + STALE_S < clock_wall_s())
		(void)unlinkat(m->dir_fd, m->lock, 0);
}

/* False: somebody has it. A directory in which we may make no file needs none. */
static bool
lock_name(struct mbox *m)
{
	int fd = openat(m->dir_fd, m->lock, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, MARK_MODE);

	if (fd < 0 && errno == EEXIST) {
		remove_stale(m);
		return false;
	}
	m->has_lock = fd >= 0;
	if (fd >= 0)
		(void)!fd_write_all(fd, bytes_of(MARK, MARK_LEN)); /* on a full disk it is stale only by its age */
	fd_close(&fd);
	return true;
}

static void
unlock_name(struct mbox *m)
{
	if (m->has_lock)
		(void)unlinkat(m->dir_fd, m->lock, 0);
	m->has_lock = false;
}

/* All three at once or none: who waits for one of them holds no other meanwhile. */
static bool
try_locks(struct mbox *m)
{
	struct flock none = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	if (!lock_range(m->fd))
		return false;
	if (flock(m->fd, LOCK_EX | LOCK_NB) == 0) {
		if (lock_name(m))
			return true;
		(void)flock(m->fd, LOCK_UN);
	}
	(void)fcntl(m->fd, F_SETLK, &none);
	return false;
}

static enum result
take_locks(struct mbox *m, struct why *why)
{
	const struct timespec pause = { 0, STEP_MS * 1000000L };
	uint64_t until = clock_ms() + MBOX_WAIT_MS;

	while (!try_locks(m)) {
		if (clock_ms() >= until)
			return why_set(why, AGAIN, "%s is locked by another program", m->path);
		(void)nanosleep(&pause, NULL);
	}
	return OK;
}

/* ---- opening ---- */

static enum result
open_mbox(struct mbox *m, struct bytes path, struct why *why)
{
	size_t slash = bytes_find_last(path, '/');
	struct bytes name = slash < path.len ? bytes_skip(path, slash + 1) : path;
	char above[PATH_MAX] = ".";
	struct stat st;
	enum result r;

	if (path.len + sizeof ".lock" > sizeof m->path || name.len == 0)
		return why_set(why, REFUSED, "the name of the mbox is too long");
	(void)snprintf(m->path, sizeof m->path, "%.*s", (int)name.len, (const char *)name.at);
	(void)snprintf(m->lock, sizeof m->lock, "%.*s.lock", (int)name.len, (const char *)name.at);
	if (slash < path.len)
		(void)snprintf(above, sizeof above, "%.*s", (int)slash, (const char *)path.at);
	if ((r = beneath_open(AT_FDCWD, above, BENEATH_FOLLOW, &m->dir_fd, why)) != OK)
		return r;
	m->is_new = fstatat(m->dir_fd, m->path, &st, 0) != 0 && errno == ENOENT;
	m->fd = openat(m->dir_fd, m->path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	if (m->fd < 0)
		return why_errno(why, result_of_errno(errno), "opening %s", m->path);
	if (fstat(m->fd, &st) != 0 || !S_ISREG(st.st_mode))
		return why_set(why, REFUSED, "%s is no plain file", m->path);
	return OK;
}

/* ---- appending ---- */

static enum result
append(struct mbox *m, const struct copy_job *from, struct why *why)
{
	uint8_t room[1200];
	struct buf line = BUF_OVER(room);
	struct copy_job job = *from;
	struct stat st;
	enum result r;

	if (fstat(m->fd, &st) != 0)
		return why_errno(why, BROKEN, "looking at %s", m->path);
	m->size = st.st_size;
	from_line_put(&line, job.reverse_path, clock_wall_s());
	job.form = COPY_MBOX;
	job.from_line = buf_bytes(&line);
	job.to_fd = m->fd;
	r = copy_message(&job, why);
	if (r == OK && fsync(m->fd) != 0)
		r = why_errno(why, result_of_errno(errno), "bringing %s to disk", m->path);
	if (r == OK && m->is_new && fsync(m->dir_fd) != 0)
		r = why_errno(why, result_of_errno(errno), "bringing the directory of %s to disk", m->path);
	if (r != OK && (ftruncate(m->fd, m->size) != 0 || fsync(m->fd) != 0))
		(void)why_set(why, r, "%s can't be cut back", m->path);
	return r;
}

enum result
mbox_append(struct bytes path, const struct copy_job *job, struct why *why)
{
	struct mbox m = { .dir_fd = -1, .fd = -1 };
	enum result r = open_mbox(&m, path, why);

	if (r == REFUSED)
		r = BROKEN; /* REFUSED is a loop's */
	if (r == OK && (r = take_locks(&m, why)) == OK) {
		r = append(&m, job, why);
		unlock_name(&m);
	}
	fd_close(&m.fd); /* with its locks */
	fd_close(&m.dir_fd);
	return r;
}
