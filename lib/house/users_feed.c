/* The table of users, kept up to date.
 * Trusts root's files and what the host says of its accounts; a child asks for those, since a directory service or a server of
 * homes may be slow or silent, and warden must not wait for it.
 * Never reads from a process, never waits for one; a table that is as the last one was is thrown away. */
#include "house/users_feed.h"

#include "control/users_build.h"
#include "control/users_table.h"
#include "house/house.h"
#include "house/instance.h"
#include "sys/clock.h"
#include "sys/fd.h"
#include "sys/log.h"
#include "wire/channel.h"
#include "wire/warden_users.h"

#include <errno.h>
#include <linux/sockios.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FIRST_MS 60000  /* for the table of a start or a SIGHUP */
#define LATER_MS 300000 /* for any other: then the child is ended */
#define FULL_MS 60000   /* how often all is asked for, whatever /etc/passwd says: users may come from elsewhere */
#define HOMES_MS 120000 /* how long after a change of /etc/passwd homes that are missing are looked for every time */
#define SETTLE_MS 3000  /* how much later than those who deliver the others are told: see users_feed_look */
#define COST 100        /* or so many times what the last making took, if that is longer */

void
users_feed_none(struct users_feed *f)
{
	*f = (struct users_feed){ .table_fd = -1, .built_fd = -1 };
	for (size_t i = 0; i < USERS_READERS_MAX; i++)
		f->readers[i].fd = -1;
}

bool
users_feed_is_used(const struct users_feed *f)
{
	return f->source != NULL;
}

/* ---- what would make another table ---- */

static void
mark_passwd(uint64_t mark[4])
{
	struct stat st;

	memset(mark, 0, 4 * sizeof mark[0]);
	if (stat("/etc/passwd", &st) != 0)
		return;
	mark[0] = st.st_ino;
	mark[1] = (uint64_t)st.st_size;
	mark[2] = (uint64_t)st.st_mtim.tv_sec * UINT64_C(1000000000) + (uint64_t)st.st_mtim.tv_nsec;
	mark[3] = (uint64_t)st.st_ctim.tv_sec * UINT64_C(1000000000) + (uint64_t)st.st_ctim.tv_nsec;
}

static void
mark_files(const struct users_feed *f, uint64_t mark[2])
{
	struct stat st;

	mark[0] = mark[1] = 0;
	if (f->files_home[0] == '\0' || stat(f->files_home, &st) != 0)
		return;
	mark[0] = (uint64_t)st.st_mtim.tv_sec * UINT64_C(1000000000) + (uint64_t)st.st_mtim.tv_nsec;
	mark[1] = (uint64_t)st.st_ctim.tv_sec * UINT64_C(1000000000) + (uint64_t)st.st_ctim.tv_nsec;
}

/* Whose names the newest table has. */
static void
note_files_home(struct users_feed *f)
{
	struct users_table table;
	struct bytes home;

	f->files_home[0] = '\0';
	if (users_table_open(&table, f->table_fd, NULL) != OK)
		return;
	if (users_table_find(&table, BYTES(USERS_FILES), &home) == OK && home.len < sizeof f->files_home) {
		memcpy(f->files_home, home.at, home.len);
		f->files_home[home.len] = '\0';
	}
	users_table_close(&table);
}

/* The home of an account that had none: useradd writes passwd first. */
static bool
has_new_home(const struct users_feed *f)
{
	struct bytes homes, home;
	struct users_table table;
	bool found = false;
	char path[1024];
	struct stat st;
	uint32_t uid;

	if (users_table_open(&table, f->table_fd, NULL) != OK)
		return false;
	if (users_table_find(&table, BYTES(USERS_MISSING), &homes) == OK)
		while (!found && users_next_missing(&homes, &uid, &home)) {
			if (home.len >= sizeof path)
				continue;
			memcpy(path, home.at, home.len);
			path[home.len] = '\0';
			found = stat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == uid;
		}
	users_table_close(&table);
	return found;
}

static bool
has_changed(struct users_feed *f)
{
	uint64_t now[4], files[2];

	mark_files(f, files);
	if (memcmp(files, f->files, sizeof files) != 0)
		return true;
	mark_passwd(now);
	if (memcmp(now, f->passwd, sizeof now) != 0) {
		f->homes_until_ms = clock_ms() + HOMES_MS;
		return true;
	}
	return clock_ms() >= f->next_ms || (clock_ms() < f->homes_until_ms && has_new_home(f));
}

static bool
is_same(int a, int b)
{
	struct stat one, other;
	void *x, *y;
	bool same;

	if (a < 0 || fstat(a, &one) != 0 || fstat(b, &other) != 0 || one.st_size != other.st_size || one.st_size == 0)
		return false;
	x = mmap(NULL, (size_t)one.st_size, PROT_READ, MAP_SHARED, a, 0);
	y = mmap(NULL, (size_t)one.st_size, PROT_READ, MAP_SHARED, b, 0);
	same = x != MAP_FAILED && y != MAP_FAILED && memcmp(x, y, (size_t)one.st_size) == 0;
	if (x != MAP_FAILED)
		(void)munmap(x, (size_t)one.st_size);
	if (y != MAP_FAILED)
		(void)munmap(y, (size_t)one.st_size);
	return same;
}

/* ---- making one ---- */

static struct user_bounds
bounds_of(const struct users_feed *f)
{
	struct user_bounds b = users_bounds_of(f->source);

	instance_add_own(f->in, &b);
	return b;
}

/* In the child, which ends here. */
__attribute__((noreturn)) static void
build(const struct users_feed *f)
{
	struct user_bounds bounds = bounds_of(f);
	struct why why = WHY_NONE;
	enum result r;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	r = users_build(f->source, &bounds, f->built_fd, &why);
	if (r != OK) {
		log_why("users", r, &why);
		log_flush();
	}
	_exit(r == OK ? 0 : 111);
}

static enum result
begin(struct users_feed *f, struct why *why)
{
	f->built_fd = memfd_create("users", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (f->built_fd < 0)
		return why_errno(why, EXHAUSTED, "making a memory file");
	mark_files(f, f->files);
	mark_passwd(f->passwd); /* before it is read: what changes meanwhile is seen at the next look */
	f->began_ms = clock_ms();
	f->builder = fork();
	if (f->builder == 0)
		build(f);
	if (f->builder > 0)
		return OK;
	f->builder = 0;
	fd_close(&f->built_fd);
	return why_errno(why, EXHAUSTED, "starting a process for the table of users");
}

/* The child has ended well: its table is the newest, if it says anything new. */
static void
take(struct users_feed *f)
{
	struct why why = WHY_NONE;
	enum result r = OK;

	if (!fd_is_sealed(f->built_fd))
		r = why_set(&why, BROKEN, "the table of users was left unfinished");
	else if (!is_same(f->table_fd, f->built_fd) && (r = fd_reopen_read_only(&f->built_fd, &why)) == OK) {
		if (f->table_fd >= 0)
			log_simple(SEVERITY_INFO, "users", "why", "users of this host have come, gone or changed");
		fd_close(&f->table_fd);
		f->table_fd = f->built_fd;
		f->built_fd = -1;
		f->table_number++;
		f->taken_ms = clock_ms();
		note_files_home(f);
	}
	if (r != OK)
		log_why("users", r, &why);
	fd_close(&f->built_fd);
}

bool
users_feed_ended(struct users_feed *f, pid_t pid, int status)
{
	if (f->builder == 0 || pid != f->builder)
		return false;
	f->builder = 0;
	f->took_ms = clock_ms() - f->began_ms;
	f->next_ms = clock_ms() + (f->took_ms * COST > FULL_MS ? f->took_ms * COST : FULL_MS);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		take(f);
	else {
		log_simple(SEVERITY_ERROR, "users", "why", "the table of users could not be made; the last one stays");
		fd_close(&f->built_fd);
	}
	return true;
}

/* Until the child has ended, or its time is over. */
static enum result
await(struct users_feed *f, struct why *why)
{
	static const struct timespec pause = { 0, 1000000 };
	int status;
	pid_t pid;

	while ((pid = waitpid(f->builder, &status, WNOHANG)) == 0) {
		if (clock_ms() - f->began_ms > FIRST_MS)
			(void)kill(f->builder, SIGKILL);
		(void)nanosleep(&pause, NULL);
	}
	(void)users_feed_ended(f, f->builder, pid < 0 ? 0x6f00 : status);
	return f->table_fd >= 0 && pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0
	    ? OK
	    : why_set(why, BROKEN, "the table of users could not be made");
}

/* Whether a process of the service has a slot for it. */
static bool
is_wanted(const struct instance *in)
{
	const char *members[HOUSE_MEMBERS_MAX];
	size_t n = house_members(in->service, members);

	for (size_t i = 0; i < n; i++)
		if (house_slot(members[i], "users") != NULL)
			return true;
	return false;
}

enum result
users_feed_make(struct users_feed *f, const struct instance *in, const struct control_source *source, struct why *why)
{
	const struct control_source *before = f->source;
	enum result r;

	if (!is_wanted(in))
		return OK;
	if (f->builder > 0) { /* of the source before */
		(void)kill(f->builder, SIGKILL);
		(void)await(f, NULL);
	}
	f->in = in;
	f->source = source;
	if ((r = begin(f, why)) == OK)
		r = await(f, why);
	if (r != OK)
		f->source = before;
	return r;
}

/* ---- those who are told ---- */

/* What was sent before must have been taken: a process that reads nothing keeps one old table, not all. */
static void
send_to(struct users_feed *f, struct users_reader *reader)
{
	struct channel c = channel_of(reader->fd, &warden_users_protocol, WU_WARDEN, false);
	struct why why = WHY_NONE;
	enum result r;
	int untaken = 0;

	if (ioctl(reader->fd, SIOCOUTQ, &untaken) == 0 && untaken > 0)
		return;
	r = channel_send(&c, WU_TABLE, 0, NULL, BYTES_NONE, &f->table_fd, &why);
	if (r == OK)
		reader->number = f->table_number;
	else if (r != AGAIN)
		fd_close(&reader->fd); /* it has ended */
}

static void
send_to_all(struct users_feed *f, bool starts)
{
	for (size_t i = 0; i < USERS_READERS_MAX; i++) {
		struct users_reader *reader = &f->readers[i];

		if (reader->fd >= 0 && reader->starts == starts && reader->number != f->table_number)
			send_to(f, reader);
	}
}

/* A place for one more: of one that has ended, if none is free. */
static struct users_reader *
free_reader(struct users_feed *f)
{
	for (size_t i = 0; i < USERS_READERS_MAX; i++) {
		struct channel c = channel_of(f->readers[i].fd, &warden_users_protocol, WU_WARDEN, false);

		if (f->readers[i].fd >= 0 && channel_is_over(&c))
			fd_close(&f->readers[i].fd);
	}
	for (size_t i = 0; i < USERS_READERS_MAX; i++)
		if (f->readers[i].fd < 0)
			return &f->readers[i];
	return NULL;
}

enum result
users_feed_join(struct users_feed *f, bool starts, int *fd, struct why *why)
{
	struct users_reader *reader = free_reader(f);
	enum result r;
	int pair[2];

	if (reader == NULL || f->table_fd < 0)
		return why_set(why, EXHAUSTED, "there is no table of users, or there are too many generations");
	if ((r = channel_pair(pair, why)) != OK)
		return r;
	*reader = (struct users_reader){ .fd = pair[0], .starts = starts };
	send_to(f, reader);
	if (reader->fd < 0 || reader->number != f->table_number) {
		fd_close(&reader->fd);
		(void)close(pair[1]);
		return why_set(why, EXHAUSTED, "the table of users can't be handed over");
	}
	*fd = pair[1];
	return OK;
}

static bool
has_deliverer(const struct users_feed *f)
{
	for (size_t i = 0; i < USERS_READERS_MAX; i++)
		if (f->readers[i].fd >= 0 && f->readers[i].starts)
			return true;
	return false;
}

/* Each service has a feed of its own. A service that only accepts mail is told later than the one that delivers it: otherwise the
 * mail of a user who has just come would be accepted here and returned there. */
static bool
has_settled(const struct users_feed *f)
{
	return has_deliverer(f) || clock_ms() - f->taken_ms >= SETTLE_MS;
}

void
users_feed_look(struct users_feed *f)
{
	struct why why = WHY_NONE;
	enum result r = OK;

	if (f->source == NULL)
		return;
	if (f->builder > 0 && clock_ms() - f->began_ms > LATER_MS)
		(void)kill(f->builder, SIGKILL);
	if (f->builder == 0 && has_changed(f) && (r = begin(f, &why)) != OK)
		log_why("users", r, &why);
	if (!has_settled(f))
		return;
	send_to_all(f, true); /* first those that the others ask to start a process */
	send_to_all(f, false);
}
