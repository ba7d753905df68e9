/* What a start needs besides control items: users, directories, addresses to listen on.
 * Trusts its caller, with whose rights it looks; names of other programs on this host are only printed.
 * Never makes, changes or connects to anything; the sockets that it binds do not listen and are closed at once. */
#include "postern/check_house.h"

#include "base/le.h"
#include "config.h"
#include "house/house.h"
#include "postern/port_holder.h"
#include "store/store.h"
#include "sys/fd.h"
#include "sys/process.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define NAMES_SHOWN 5
#define SHOW(bytes) (int)(bytes).len, (const char *)(bytes).at

/* ---- users ---- */

/* Of all services: postern-setup makes all of them. */
static char missing[400];
static unsigned n_missing;

static void
note_missing(const struct look *l, const char *role)
{
	char name[HOUSE_USER_LEN + 1];
	size_t len = strlen(missing);

	house_user_name(role, l->instance->service, name);
	if (++n_missing <= NAMES_SHOWN)
		(void)snprintf(
		    missing + len, sizeof missing - len, "%s%s%s", len > 0 ? ", " : "", POSTERN_USER_PREFIX, name);
}

static struct place
users_place(const struct look *l)
{
	char file[PATH_MAX];

	(void)snprintf(file, sizeof file, "%s/uids", l->instance->control);
	return place_of_file(access(file, F_OK) == 0 ? file : "/etc/passwd");
}

void
check_house_users(struct look *l)
{
	const char *members[HOUSE_MEMBERS_MAX];
	size_t n = house_members(l->instance->service, members);
	struct place at = users_place(l);
	struct owner owner;

	for (size_t i = 0; i < n; i++) {
		const struct privileges *p = house_privileges(members[i]);
		struct why why = WHY_NONE;
		enum result r;

		if (!house_is_wanted(members[i], l->source) || strcmp(p->user, "recipient") == 0)
			continue;
		r = instance_owner(l->instance, p->user, &owner, &why);
		if (r == ABSENT)
			note_missing(l, p->user);
		else if (r != OK)
			find(l, SEVERITY_ERROR, &at, "give each user of the house an id of its own",
			    "%s can't start: %s", members[i], why.text);
	}
}

void
check_house_users_end(struct look *l)
{
	struct place at = users_place(l);
	char more[40] = "";

	if (n_missing == 0)
		return;
	if (n_missing > NAMES_SHOWN)
		(void)snprintf(more, sizeof more, " and %u more", n_missing - NAMES_SHOWN);
	find(l, SEVERITY_ERROR, &at, "run postern-setup, which makes them",
	    "has no line for these users, whose processes can't start: %s%s", missing, more);
}

/* ---- the kernel ---- */

void
check_kernel(struct look *l)
{
	struct place at = place_of_item(l, ITEM_LENIENT, BYTES_NONE);
	const struct buf *lenient = &l->source->items[ITEM_LENIENT].value;

	if (process_may_use_landlock())
		return;
	if (lenient->len == 8 && le64_get(lenient->at) != 0)
		find(l, SEVERITY_WARNING, &at, "the uid alone keeps a delivery process to its home",
		    "the kernel has no landlock, or a container hides it, and this item allows that");
	else
		find(l, SEVERITY_ERROR, &at,
		    "let the container's system call filter pass it, or say yes here (see its sample)",
		    "the kernel has no landlock, or a container hides it: no process would start");
}

/* ---- directories ---- */

static void
must_be(const struct look *l, const char *path, const struct stat *st, mode_t mode, const struct owner *owner)
{
	struct place at = place_of_file(path);
	char remedy[PATH_MAX + 100];

	if (!S_ISDIR(st->st_mode))
		find(l, SEVERITY_ERROR, &at, "move it away; a start makes the directory", "is no directory");
	else if (st->st_uid != owner->uid) {
		(void)snprintf(remedy, sizeof remedy, "chown -R %u:%u %s, while the service is down", owner->uid,
		    owner->gid, path);
		find(l, SEVERITY_ERROR, &at, remedy, "belongs to uid %u, not to uid %u", st->st_uid, owner->uid);
	} else if ((st->st_mode & 07777) != mode) {
		(void)snprintf(remedy, sizeof remedy, "chmod %03o %s", (unsigned)mode, path);
		find(l, SEVERITY_ERROR, &at, remedy, "has mode %03o, not %03o", (unsigned)(st->st_mode & 07777),
		    (unsigned)mode);
	}
}

static enum result
look_at_directory(void *ctx, const char *path, mode_t mode, const struct owner *owner, struct why *why)
{
	const struct look *l = ctx;
	struct stat st;

	(void)why;
	if (path != l->instance->keys && lstat(path, &st) == 0) /* keys of another user a start puts aside */
		must_be(l, path, &st, mode, owner);
	return OK; /* what is not there a start makes */
}

void
check_directories(struct look *l)
{
	struct why why = WHY_NONE;

	if (l->has_own_places)
		(void)instance_each_directory(l->instance, look_at_directory, l, &why); /* users were looked at */
}

struct strangers {
	unsigned n;
	char first[NAME_MAX + 1];
	struct stat st; /* of the first */
};

static void
look_at_file(struct strangers *s, const struct stat *st, const struct owner *owner, const char *name)
{
	if (st->st_uid == owner->uid && S_ISREG(st->st_mode) && st->st_nlink == 1 && (st->st_mode & 077) == 0)
		return;
	if (s->n++ == 0) {
		(void)snprintf(s->first, sizeof s->first, "%s", name);
		s->st = *st;
	}
}

/* Files that queue could not read, or would not believe, are told once for each directory. */
static void
look_into(const struct look *l, const char *path, const struct owner *owner, bool has_directories)
{
	struct strangers s = { .n = 0 };
	struct place at = place_of_file(path);
	char remedy[2 * PATH_MAX + 100];
	struct dirent *e;
	struct stat st;
	DIR *dir = opendir(path);

	while (dir != NULL && (e = readdir(dir)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    !(has_directories && S_ISDIR(st.st_mode)))
			look_at_file(&s, &st, owner, e->d_name);
	if (dir != NULL)
		(void)closedir(dir);
	(void)snprintf(remedy, sizeof remedy, "while send is down: chown -R %u:%u %s, chmod 600 %s/*", owner->uid,
	    owner->gid, l->instance->queue, path);
	if (s.n > 0)
		find(l, SEVERITY_ERROR, &at, remedy,
		    "%u of its files are not what queue takes for its own: uid %u, mode 600, one name (%s: uid %u, "
		    "mode %03o, "
		    "%u names)",
		    s.n, owner->uid, s.first, s.st.st_uid, (unsigned)(s.st.st_mode & 07777), (unsigned)s.st.st_nlink);
}

/* What queue tries when it starts, and what it looks at for each message. */
static void
check_filesystem(const struct look *l, const struct place *at)
{
	const struct buf *least = &l->source->items[ITEM_QUEUEFREE].value;
	struct statvfs fs;
	char leases = '1';
	int fd = open("/proc/sys/fs/leases-enable", O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && read(fd, &leases, 1) == 1 && leases == '0')
		find(l, SEVERITY_ERROR, at, "sysctl fs.leases-enable=1",
		    "the kernel's leases are switched off: queue does not start");
	fd_close(&fd);
	if (statvfs(at->file, &fs) == 0 && least->len == 8 &&
	    (uint64_t)fs.f_bavail * (uint64_t)fs.f_frsize < le64_get(least->at))
		find(l, SEVERITY_WARNING, at, "make room, or put a lesser number into queuefree",
		    "its disk has less than queuefree (%llu octets) left: new mail is put off",
		    (unsigned long long)le64_get(least->at));
}

void
check_queue(struct look *l)
{
	const char *queue = l->instance->queue;
	struct place at = place_of_file(queue);
	struct why why = WHY_NONE;
	char path[PATH_MAX];
	struct owner owner;
	struct dirent *e;
	struct stat st;
	DIR *dir;

	if (!l->has_own_places || instance_owner(l->instance, "queue", &owner, &why) != OK || lstat(queue, &st) != 0)
		return;
	if ((dir = opendir(queue)) == NULL) {
		if (errno == EACCES && geteuid() != 0)
			find(l, SEVERITY_WARNING, &at, "run postern check as root", "the queue could not be looked at");
		return;
	}
	check_filesystem(l, &at);
	while ((e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.' || snprintf(path, sizeof path, "%s/%s", queue, e->d_name) >= (int)sizeof path)
			continue;
		if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode))
			continue;
		must_be(l, path, &st, 0700, &owner);
		look_into(l, path, &owner, false);
	}
	look_into(l, queue, &owner, true);
	(void)closedir(dir);
}

/* ---- addresses ---- */

static void
name_endpoint(const struct endpoint *e, char *name, size_t size)
{
	char address[INET6_ADDRSTRLEN] = "";

	(void)inet_ntop(e->kind == ENDPOINT_IPV4 ? AF_INET : AF_INET6, e->address, address, sizeof address);
	if (e->kind == ENDPOINT_UNIX)
		(void)snprintf(name, size, "%.*s", SHOW(e->path));
	else
		(void)snprintf(name, size, e->kind == ENDPOINT_IPV4 ? "%s:%u" : "[%s]:%u", address, e->port);
}

/* 0, or why it can't be bound. */
static int
try_address(const struct endpoint *e)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(e->port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(e->port) };
	bool is_4 = e->kind == ENDPOINT_IPV4;
	int one = 1, error = 0, fd = socket(is_4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(&in.sin_addr, e->address, 4);
	memcpy(&in6.sin6_addr, e->address, 16);
	if (fd < 0)
		return errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (!is_4)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
	if (bind(fd, is_4 ? (const struct sockaddr *)&in : (const struct sockaddr *)&in6,
		is_4 ? sizeof in : sizeof in6) != 0)
		error = errno;
	(void)close(fd);
	return error;
}

static void
check_free(const struct look *l, const struct endpoint *e, const char *name, const struct place *at)
{
	int error = try_address(e);
	struct port_holder holder;

	if (error == EADDRNOTAVAIL)
		find(l, SEVERITY_ERROR, at, "name an address that ip addr shows, or [::]",
		    "%s is no address of this host", name);
	if (error != EADDRINUSE)
		return; /* free; or another than root may not say */
	port_holder_find(e->port, &holder);
	if (holder.pid == 0)
		find(l, SEVERITY_ERROR, at, "end the program (ss -ltnp names it) or listen elsewhere",
		    "another program listens on %s", name);
	else if (!holder.is_ours)
		find(l, SEVERITY_ERROR, at, "end that program or listen elsewhere",
		    "another program listens on %s: %s, process %d", name, holder.name, holder.pid);
}

static void
check_socket(const struct look *l, const char *path, const struct place *at)
{
	struct stat st;

	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		find(l, SEVERITY_ERROR, at, "move it away, or name another path", "%s is there and is no socket", path);
}

/* Of two services with one address the second does not start. */
static void
check_not_shared(const struct look *l, const char *name, const struct place *at)
{
	static struct {
		char name[128], file[PATH_MAX];
	} taken[128];
	static size_t n;

	for (size_t i = 0; i < n; i++)
		if (strcmp(taken[i].name, name) == 0 && strcmp(taken[i].file, at->file) != 0) {
			find(l, SEVERITY_ERROR, at, "give each service an address of its own", "%s is in %s, too", name,
			    taken[i].file);
			return;
		}
	if (n < nitems(taken)) {
		(void)snprintf(taken[n].name, sizeof taken[n].name, "%s", name);
		(void)snprintf(taken[n++].file, sizeof taken[0].file, "%s", at->file);
	}
}

void
check_addresses(struct look *l)
{
	struct bytes lines = buf_bytes(&l->source->items[ITEM_LISTEN].value);
	struct endpoint e;
	struct place at;
	char name[128];

	while (control_next_endpoint(&lines, &e)) {
		name_endpoint(&e, name, sizeof name);
		at = place_of_item(l, ITEM_LISTEN, bytes_of_string(name));
		check_not_shared(l, name, &at);
		if (e.kind == ENDPOINT_UNIX)
			check_socket(l, name, &at);
		else
			check_free(l, &e, name, &at);
	}
}
