/* The queue directory.
 * Trusts its own user's exclusive access, and checks it: a lock, owner and link count of what it reads.
 * Never removes what is not a message's or its own spare file, never follows a symbolic link. */
#include "queue/place.h"

#include "sys/clock.h"
#include "sys/fd.h"
#include "sys/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#define LOOK_MS 1000
#define LEAST_INODES 64
#define TIGHT (32u << 20)

static enum result
open_directory(int root, const char *name, int *fd, struct why *why)
{
	if (mkdirat(root, name, 0700) != 0 && errno != EEXIST)
		return why_errno(why, result_of_errno(errno), "making the directory %s of the queue", name);
	*fd = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*fd < 0)
		return why_errno(why, result_of_errno(errno), "opening the directory %s of the queue", name);
	return OK;
}

static enum result
lock(struct place *p, struct why *why)
{
	p->root = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->root < 0)
		return why_errno(why, BROKEN, "opening the queue directory");
	if (flock(p->root, LOCK_EX | LOCK_NB) != 0)
		return why_errno(why, REFUSED, "another process has the queue directory");
	return OK;
}

/* They belong to nobody: what was taken from them had another name by then. */
static enum result
clear_spares(struct place *p, struct why *why)
{
	int fd = openat(p->spare, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (d == NULL) {
		fd_close(&fd);
		return why_errno(why, BROKEN, "reading the directory of spare files");
	}
	while ((e = readdir(d)) != NULL)
		if (e->d_type == DT_REG)
			(void)unlinkat(p->spare, e->d_name, 0);
	(void)closedir(d);
	return OK;
}

/* What every message will need is tried once, so that a filesystem without it is told at the start. */
static enum result
try_filesystem(struct place *p, struct why *why)
{
	static const struct id none = { "00000000000" };
	enum result r;
	int fd, again;

	if ((r = place_make(p, &none, &fd, why)) != OK)
		return r == EXHAUSTED ? OK : r; /* a full disk is no reason not to start */
	if ((r = place_reopen(p, fd, O_WRONLY, &again, why)) == OK)
		(void)close(again);
	if (r == OK && !place_is_alone(fd))
		r = why_errno(why, REFUSED, "the queue's filesystem has no write leases (or fs.leases-enable is 0)");
	(void)close(fd);
	return r;
}

enum result
place_open(struct place *p, int proc_fd, uint32_t uid, uint64_t least_free, struct why *why)
{
	enum result r;

	*p = (struct place){ .proc = proc_fd, .uid = uid, .least_free = least_free };
	if ((r = lock(p, why)) != OK)
		return r;
	for (unsigned i = 0; i < STORE_N_SPLITS; i++) {
		const char name[2] = { store_split_digit(i), '\0' };

		if ((r = open_directory(p->root, name, &p->splits[i], why)) != OK)
			return r;
	}
	if ((r = open_directory(p->root, STORE_DAMAGED, &p->damaged, why)) != OK ||
	    (r = open_directory(p->root, PLACE_SPARE, &p->spare, why)) != OK)
		return r;
	if (fsync(p->root) != 0)
		return why_errno(why, BROKEN, "flushing the queue directory");
	if ((r = try_filesystem(p, why)) != OK)
		return r;
	return clear_spares(p, why);
}

static bool
look_at_disk(struct place *p, uint64_t now_ms)
{
	struct statfs fs;

	if (p->looked_ms != 0 && now_ms - p->looked_ms < LOOK_MS)
		return true;
	if (fstatfs(p->root, &fs) != 0)
		return false;
	p->looked_ms = now_ms;
	p->free = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
	p->no_inodes = p->least_free > 0 && fs.f_files > 0 && fs.f_ffree < LEAST_INODES;
	return true;
}

uint64_t
place_room(struct place *p, uint64_t now_ms)
{
	if (!look_at_disk(p, now_ms))
		return UINT64_MAX;
	return p->no_inodes || p->free < p->least_free ? 0 : p->free - p->least_free;
}

enum result
place_has_room(struct place *p, uint64_t octets, uint64_t now_ms, struct why *why)
{
	if (!look_at_disk(p, now_ms))
		return why_errno(why, BROKEN, "asking for free space");
	if (p->free < p->least_free || p->free - p->least_free < octets)
		return why_set(why, EXHAUSTED, "the queue's disk has %llu octets left", (unsigned long long)p->free);
	if (p->no_inodes)
		return why_set(why, EXHAUSTED, "the queue's disk has no room for another file");
	p->free -= octets;
	return OK;
}

bool
place_is_tight(const struct place *p)
{
	return p->no_inodes || p->free < p->least_free + TIGHT;
}

enum result
place_make(struct place *p, const struct id *id, int *fd, struct why *why)
{
	*fd = openat(place_dir(p, id), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (*fd < 0)
		return why_errno(why, result_of_errno(errno), "making a queue file");
	return OK;
}

static void
fd_name(char name[16], int fd)
{
	(void)snprintf(name, 16, "%d", fd);
}

enum result
place_reopen(struct place *p, int fd, int flags, int *again, struct why *why)
{
	char name[16];

	fd_name(name, fd);
	*again = openat(p->proc, name, flags | O_CLOEXEC);
	if (*again < 0)
		return why_errno(why, result_of_errno(errno), "opening a queue file again");
	return OK;
}

bool
place_is_alone(int fd)
{
	return fcntl(fd, F_SETLEASE, F_WRLCK) == 0 && fcntl(fd, F_SETLEASE, F_UNLCK) == 0;
}

enum result
place_name(struct place *p, int fd, const struct id *id, struct why *why)
{
	char name[16];

	fd_name(name, fd);
	if (linkat(p->proc, name, place_dir(p, id), id->text, AT_SYMLINK_FOLLOW) != 0)
		return why_errno(why, result_of_errno(errno), "giving a queue file its name");
	return OK;
}

enum result
place_name_spare(struct place *p, const char *spare, const struct id *id, struct why *why)
{
	if (renameat2(p->spare, spare, place_dir(p, id), id->text, RENAME_NOREPLACE) != 0)
		return why_errno(why, result_of_errno(errno), "giving a spare file its name");
	return OK;
}

enum result
place_find(struct place *p, const struct id *id, int flags, int *fd, struct why *why)
{
	*fd = openat(place_dir(p, id), id->text, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (*fd < 0)
		return errno == ENOENT ? ABSENT : why_errno(why, result_of_errno(errno), "opening a queue file");
	return OK;
}

bool
place_is_there(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_nlink > 0;
}

int
place_dir(const struct place *p, const struct id *id)
{
	return p->splits[store_split_of(id)];
}

enum result
place_remove(struct place *p, const struct id *id, struct why *why)
{
	if (unlinkat(place_dir(p, id), id->text, 0) == 0)
		return OK;
	return errno == ENOENT ? ABSENT : why_errno(why, result_of_errno(errno), "removing a queue file");
}

void
place_set_aside(struct place *p, const struct id *id, const struct why *why)
{
	bool moved = renameat2(place_dir(p, id), id->text, p->damaged, id->text, RENAME_NOREPLACE) == 0;
	struct log_line l;

	log_begin(&l, SEVERITY_ERROR, "damaged");
	log_text(&l, "msg", id->text);
	log_text(&l, "why", why->text);
	log_text(&l, "moved", moved ? "to damaged/" : "not: it stays where it is");
	log_end(&l);
}
