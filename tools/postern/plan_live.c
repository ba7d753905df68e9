/* The running processes against the plan, by /proc.
 * Trusts the kernel's word in /proc and the .pids files that wardens, root's own, write.
 * Never stops at the first deviation: each is named. */
#include "postern/plan.h"

#include "base/bytes.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct subject {
	const char *process;
	const struct privileges *may;
	int pid;
	unsigned uid, gid;
	bool any_user;  /* local: whoever the recipient is */
	bool slots;     /* its descriptors of the start must be there (not in a session's child) */
	char root[512]; /* as warden says; "" not known */
	char status[8192];
	unsigned n_fds;
	unsigned deviations;
};

struct house {
	unsigned n, deviations;
};

__attribute__((format(printf, 2, 3))) static void
deviates(struct subject *s, const char *format, ...)
{
	va_list ap;

	(void)printf("  DEVIATION %s[%d]: ", s->process, s->pid);
	va_start(ap, format);
	(void)vprintf(format, ap);
	va_end(ap);
	(void)printf("\n");
	s->deviations++;
}

static bool
read_proc(int pid, const char *name, char *into, size_t size)
{
	char path[64];
	ssize_t n = -1;
	int fd;

	(void)snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, into, size - 1);
		(void)close(fd);
	}
	into[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static bool
link_of(int pid, const char *name, char *into, size_t size)
{
	char path[64];
	ssize_t n;

	(void)snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	n = readlink(path, into, size - 1);
	into[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* the text behind "NAME:\t" of /proc/PID/status, up to the line's end */
static const char *
field(const struct subject *s, const char *name, char *into, size_t size)
{
	const char *at = strstr(s->status, name);
	size_t n;

	into[0] = '\0';
	if (at == NULL)
		return into;
	at += strlen(name);
	at += strspn(at, ": \t");
	n = strcspn(at, "\n");
	(void)snprintf(into, size, "%.*s", (int)n, at);
	return into;
}

static void
check_ids(struct subject *s)
{
	char text[256];
	unsigned id[4];

	if (sscanf(field(s, "\nUid", text, sizeof text), "%u %u %u %u", &id[0], &id[1], &id[2], &id[3]) != 4)
		deviates(s, "its uids can't be read");
	else if (s->any_user ? id[0] == 0 || id[0] != id[1] || id[0] != id[2] || id[0] != id[3]
			     : id[0] != s->uid || id[1] != s->uid || id[2] != s->uid || id[3] != s->uid)
		deviates(s, "uids %s instead of %u", text, s->uid);
	if (sscanf(field(s, "\nGid", text, sizeof text), "%u %u %u %u", &id[0], &id[1], &id[2], &id[3]) != 4 ||
	    (!s->any_user && s->uid != 0 && (id[0] != s->gid || id[1] != s->gid || id[2] != s->gid || id[3] != s->gid)))
		deviates(s, "gids %s instead of %u", text, s->gid);
	if (s->uid != 0 && *field(s, "\nGroups", text, sizeof text) != '\0' && strspn(text, " ") != strlen(text))
		deviates(s, "supplementary groups %s", text);
}

static void
check_capabilities(struct subject *s)
{
	static const char *const sets[] = { "\nCapEff", "\nCapPrm", "\nCapBnd", "\nCapAmb", "\nCapInh" };
	char text[64];

	for (size_t i = 0; i < nitems(sets); i++) {
		unsigned long long now = strtoull(field(s, sets[i], text, sizeof text), NULL, 16);
		unsigned long long may = i < 3 ? s->may->capabilities : 0;

		if (now & ~may)
			deviates(s, "%s %llx, of which the plan allows %llx", sets[i] + 1, now, may);
	}
}

static void
check_switches(struct subject *s)
{
	char text[64];
	struct stat st;
	char path[64];

	if (strcmp(field(s, "\nNoNewPrivs", text, sizeof text), "1") != 0)
		deviates(s, "no_new_privs is not set");
	if (!s->may->no_seccomp && strcmp(field(s, "\nSeccomp", text, sizeof text), "2") != 0)
		deviates(s, "no system call filter");
	(void)snprintf(path, sizeof path, "/proc/%d/environ", s->pid);
	if (s->may->syscalls != 0 && stat(path, &st) == 0 && st.st_uid != 0)
		deviates(s, "it can be dumped and traced by its user");
}

static void
check_root(struct subject *s)
{
	char root[512], exe[512];
	const char *base;
	bool host = s->may->root == HOST_ROOT || s->may->root == GIVEN_HOME;

	if (!link_of(s->pid, "root", root, sizeof root))
		deviates(s, "its root can't be read: %s", strerror(errno));
	else if (host ? strcmp(root, "/") != 0 : s->root[0] != '\0' && strcmp(root, s->root) != 0)
		deviates(s, "its root is %s instead of %s", root, host ? "/" : s->root);
	if (!link_of(s->pid, "exe", exe, sizeof exe))
		return;
	base = strrchr(exe, '/') == NULL ? exe : strrchr(exe, '/') + 1;
	if (strncmp(base, s->process, strlen(s->process)) != 0 || isalnum((unsigned char)base[strlen(s->process)]))
		deviates(s, "it executes %s", exe);
}

static void
check_limits(struct subject *s)
{
	static const struct {
		int resource;
		const char *name;
	} names[] = { { RLIMIT_CORE, "Max core file size" }, { RLIMIT_NOFILE, "Max open files" },
		{ RLIMIT_NPROC, "Max processes" }, { RLIMIT_AS, "Max address space" },
		{ RLIMIT_FSIZE, "Max file size" }, { RLIMIT_MEMLOCK, "Max locked memory" } };
	char limits[4096];

	if (!read_proc(s->pid, "limits", limits, sizeof limits))
		return;
	for (size_t i = 0; i < nitems(names); i++) {
		const char *line = strstr(limits, names[i].name);
		unsigned long long may = 0, now;
		bool bound = names[i].resource == RLIMIT_CORE;

		for (const struct limit *l = s->may->limits; l < s->may->limits + nitems(s->may->limits); l++)
			if (l->resource == names[i].resource && (l->resource != 0 || l->value != 0)) {
				may = l->value;
				bound = true;
			}
		if (!bound || line == NULL)
			continue;
		line += strlen(names[i].name);
		line += strspn(line, " ");
		now = strncmp(line, "unlimited", 9) == 0 ? ~0ULL : strtoull(line, NULL, 10);
		if (now > may)
			deviates(s, "%s is %llu, the plan says %llu", names[i].name, now, may);
	}
}

/* a name in /proc as a number; -1 if it is none */
static int
number_of(const char *name)
{
	uint64_t n;

	return bytes_to_number(bytes_of_string(name), INT32_MAX, &n) ? (int)n : -1;
}

/* ---- descriptors ---- */

static const struct fd_slot *
slot_of(const struct privileges *may, int fd)
{
	for (const struct fd_slot *s = may->fds; s < may->fds + nitems(may->fds) && s->name != NULL; s++)
		if (fd == s->fd || (fd > s->fd && fd < s->fd + s->many))
			return s;
	return NULL;
}

/* whether the socket with this inode is of another family than AF_UNIX */
static bool
is_inet(const char *target)
{
	static const char *const tables[] = { "/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6",
		"/proc/net/raw" };
	char line[512], inode[32];
	bool found = false;

	(void)snprintf(inode, sizeof inode, " %s", target + strlen("socket:["));
	inode[strcspn(inode, "]")] = ' ';
	for (size_t i = 0; i < nitems(tables) && !found; i++) {
		FILE *f = fopen(tables[i], "re");

		while (f != NULL && !found && fgets(line, sizeof line, f) != NULL)
			found = strstr(line, inode) != NULL;
		if (f != NULL)
			(void)fclose(f);
	}
	return found;
}

static bool
is_written(int pid, int fd, bool *append)
{
	char name[64], info[1024];
	const char *flags;
	unsigned long value;

	(void)snprintf(name, sizeof name, "fdinfo/%d", fd);
	if (!read_proc(pid, name, info, sizeof info) || (flags = strstr(info, "flags:")) == NULL)
		return false;
	value = strtoul(flags + 6, NULL, 8);
	*append = (value & O_APPEND) != 0;
	return (value & O_ACCMODE) != O_RDONLY;
}

/* what a descriptor that is no slot's must be allowed as */
static unsigned
held_as(const struct subject *s, int fd, const char *target)
{
	bool append = false;

	if (strncmp(target, "anon_inode:[event", 17) == 0)
		return HOLDS_EVENTS;
	if (strncmp(target, "socket:[", 8) == 0)
		return is_inet(target) ? HOLDS_CONNECTION : HOLDS_CHANNELS;
	if (target[0] == '/') {
		if (!is_written(s->pid, fd, &append))
			return HOLDS_MESSAGES | HOLDS_FILES;
		return append ? HOLDS_WRITERS | HOLDS_FILES : HOLDS_FILES;
	}
	return HOLDS_NOTHING;
}

static bool
fits_slot(const struct subject *s, const struct fd_slot *slot, const char *target)
{
	switch (slot->kind) {
	case FD_CONTROL:
		return strncmp(target, "/memfd:", 7) == 0;
	case FD_TABLE:
		return target[0] == '/';
	case FD_CHANNEL:
	case FD_DOOR:
	case FD_DOORWAY:
		return strncmp(target, "socket:[", 8) == 0 && !is_inet(target);
	case FD_LISTENING:
		return strncmp(target, "socket:[", 8) == 0;
	case FD_DIRECTORY:
		return target[0] == '/';
	case FD_PROC_FDS:
		return strncmp(target, "/proc/", 6) == 0;
	case FD_PROGRAM:
		return target[0] == '/';
	}
	(void)s;
	return false;
}

static void
check_fd(struct subject *s, int fd)
{
	const struct fd_slot *slot = s->slots ? slot_of(s->may, fd) : NULL;
	char name[32], target[512];

	(void)snprintf(name, sizeof name, "fd/%d", fd);
	if (fd <= 2 || !link_of(s->pid, name, target, sizeof target))
		return;
	s->n_fds++;
	if (slot != NULL) {
		if (!fits_slot(s, slot, target))
			deviates(s, "descriptor %d should be its %s (%s), but is %s", fd, slot->name,
			    fd_kind_name(slot->kind), target);
	} else if (s->may->syscalls != 0 && (held_as(s, fd, target) & s->may->holds) == 0)
		deviates(s, "descriptor %d is %s, which the plan does not let it hold", fd, target);
}

static void
check_fds(struct subject *s)
{
	char path[64];
	struct dirent *e;
	DIR *d;

	(void)snprintf(path, sizeof path, "/proc/%d/fd", s->pid);
	d = opendir(path);
	if (d == NULL) {
		deviates(s, "its descriptors can't be read: %s", strerror(errno));
		return;
	}
	while ((e = readdir(d)) != NULL)
		if (isdigit((unsigned char)e->d_name[0]))
			check_fd(s, number_of(e->d_name));
	(void)closedir(d);
	for (const struct fd_slot *slot = s->may->fds;
	     s->slots && slot < s->may->fds + nitems(s->may->fds) && slot->name != NULL; slot++) {
		char name[32], target[512];

		(void)snprintf(name, sizeof name, "fd/%d", slot->fd);
		if (!slot->optional && !link_of(s->pid, name, target, sizeof target))
			deviates(s, "its descriptor %d (%s) is missing", slot->fd, slot->name);
	}
}

/* ---- processes ---- */

static bool
has_gone(int pid)
{
	char text[16];

	return !read_proc(pid, "stat", text, sizeof text);
}

static void
check(struct house *h, struct subject *s, const char *service)
{
	char root[512], seccomp[16], caps[64];

	if (!read_proc(s->pid, "status", s->status, sizeof s->status) || strstr(s->status, "\nState:\tZ") != NULL) {
		if (s->slots) {
			(void)printf("  DEVIATION %s[%d] of %s does not run\n", s->process, s->pid, service);
			h->deviations++;
		}
		return;
	}
	check_ids(s);
	check_capabilities(s);
	check_switches(s);
	check_root(s);
	check_limits(s);
	check_fds(s);
	if (s->deviations > 0 && !s->slots && has_gone(s->pid))
		return; /* a session that ended while it was looked at */
	(void)link_of(s->pid, "root", root, sizeof root);
	(void)printf("%-8s %-8s %7d %6u %-8s %-3s %-12s %3u  %s\n", service, s->process, s->pid, s->uid,
	    strcmp(field(s, "\nSeccomp", seccomp, sizeof seccomp), "2") == 0 ? "filter" : "none",
	    s->may->no_landlock ? "no" : "yes",
	    strtoull(field(s, "\nCapEff", caps, sizeof caps), NULL, 16) == 0 ? "none" : caps + 6, s->n_fds, root);
	h->n++;
	h->deviations += s->deviations;
}

static int
parent_of(int pid)
{
	char text[1024];
	const char *at;
	int parent = -1;

	if (!read_proc(pid, "stat", text, sizeof text) || (at = strrchr(text, ')')) == NULL ||
	    sscanf(at + 1, " %*c %d", &parent) != 1)
		return -1;
	return parent;
}

/* sessions of a zygote, and locals of lspawn */
static void
check_children(struct house *h, const struct subject *parent, const char *service)
{
	struct dirent *e;
	DIR *d = opendir("/proc");

	while (d != NULL && (e = readdir(d)) != NULL) {
		struct subject s = *parent;
		int pid = number_of(e->d_name);

		if (pid <= 0 || parent_of(pid) != parent->pid)
			continue;
		s.pid = pid;
		s.slots = false;
		s.n_fds = s.deviations = 0;
		if (strcmp(parent->process, "lspawn") == 0) {
			char text[256];

			s.process = "local";
			s.may = plan_privileges("local");
			s.any_user = s.slots = true;
			s.root[0] = '\0';
			if (read_proc(pid, "status", s.status, sizeof s.status))
				s.uid = (unsigned)strtoul(field(&s, "\nUid", text, sizeof text), NULL, 10);
		}
		check(h, &s, service);
	}
	if (d != NULL)
		(void)closedir(d);
}

static void
check_service(struct house *h, const char *path)
{
	char line[1024], process[64], service[64];
	const char *base = strrchr(path, '/') + 1;
	FILE *f = fopen(path, "re");

	(void)snprintf(service, sizeof service, "%.*s", (int)strcspn(base, "."), base);
	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		struct subject s = { .slots = true };

		if (sscanf(line, "%63s %d %u %u %*u %511s", process, &s.pid, &s.uid, &s.gid, s.root) != 5)
			continue;
		s.process = process;
		s.may = plan_privileges(process);
		if (s.may == NULL) {
			(void)printf("  DEVIATION %s[%d] is not in the plan\n", process, s.pid);
			h->deviations++;
			continue;
		}
		check(h, &s, service);
		if (s.may->syscalls & MAY_FORK)
			check_children(h, &s, service);
	}
	if (f != NULL)
		(void)fclose(f);
}

int
plan_live(const char *run_dir)
{
	struct house h = { 0, 0 };
	char pattern[512];
	glob_t g;

	(void)snprintf(pattern, sizeof pattern, "%s/*.pids", run_dir);
	if (glob(pattern, 0, NULL, &g) != 0) {
		(void)fprintf(stderr, "postern plan: no warden runs an instance in %s\n", run_dir);
		return 111;
	}
	(void)printf("%-8s %-8s %7s %6s %-8s %-3s %-12s %3s  %s\n", "SERVICE", "PROCESS", "PID", "UID", "SECCOMP", "LL",
	    "CAPS", "FDS", "ROOT");
	for (size_t i = 0; i < g.gl_pathc; i++)
		check_service(&h, g.gl_pathv[i]);
	globfree(&g);
	(void)printf("%u processes, %u deviations from the plan\n", h.n, h.deviations);
	return h.deviations > 0 ? 1 : 0;
}
