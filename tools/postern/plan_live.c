/* The running processes against the plan, by /proc.
 * Trusts the kernel's word in /proc and the .pids files that wardens, root's own, write.
 * Never stops at the first deviation: each is named. */
#include "postern/plan.h"
#include "postern/plan_proc.h"

#include "base/bytes.h"
#include "house/house.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct house {
	bool json;
	unsigned n, deviations;
};

static void
check_ids(struct subject *s)
{
	char text[256];
	unsigned id[4];

	if (sscanf(subject_field(s, "Uid", text, sizeof text), "%u %u %u %u", &id[0], &id[1], &id[2], &id[3]) != 4)
		subject_deviates(s, "its uids can't be read");
	else if (s->any_user ? id[0] == 0 || id[0] != id[1] || id[0] != id[2] || id[0] != id[3]
			     : id[0] != s->uid || id[1] != s->uid || id[2] != s->uid || id[3] != s->uid)
		subject_deviates(s, "uids %s instead of %u", text, s->uid);
	if (sscanf(subject_field(s, "Gid", text, sizeof text), "%u %u %u %u", &id[0], &id[1], &id[2], &id[3]) != 4 ||
	    (!s->any_user && s->uid != 0 && (id[0] != s->gid || id[1] != s->gid || id[2] != s->gid || id[3] != s->gid)))
		subject_deviates(s, "gids %s instead of %u", text, s->gid);
	if (s->uid != 0 && !s->may->own_groups && *subject_field(s, "Groups", text, sizeof text) != '\0' &&
	    strspn(text, " ") != strlen(text))
		subject_deviates(s, "supplementary groups %s", text);
}

static void
check_capabilities(struct subject *s)
{
	static const char *const sets[] = { "CapEff", "CapPrm", "CapBnd", "CapAmb", "CapInh" };
	char text[64];

	for (size_t i = 0; i < nitems(sets); i++) {
		unsigned long long now = strtoull(subject_field(s, sets[i], text, sizeof text), NULL, 16);
		unsigned long long may = i < 3 ? s->may->capabilities : 0;

		if (now & ~may)
			subject_deviates(s, "%s %llx, of which the plan allows %llx", sets[i], now, may);
	}
}

static void
check_switches(struct subject *s)
{
	char text[64];
	struct stat st;
	char path[64];

	if (!s->may->may_gain && strcmp(subject_field(s, "NoNewPrivs", text, sizeof text), "1") != 0)
		subject_deviates(s, "no_new_privs is not set");
	if (!s->may->no_seccomp && strcmp(subject_field(s, "Seccomp", text, sizeof text), "2") != 0)
		subject_deviates(s, "no system call filter");
	if (!s->may->no_seccomp && proc_number(subject_field(s, "Seccomp_filters", text, sizeof text)) < 1)
		subject_deviates(s, "no system call filter is attached");
	(void)snprintf(path, sizeof path, "/proc/%d/environ", s->pid);
	if (s->may->syscalls != 0 && stat(path, &st) == 0 && st.st_uid != 0)
		subject_deviates(s, "it can be dumped and traced by its user");
}

static void
check_root(struct subject *s)
{
	char root[512], exe[512];
	const char *base;
	bool host = s->may->root == HOST_ROOT || s->may->root == GIVEN_HOME;

	if (!proc_link(s->pid, "root", root, sizeof root))
		subject_deviates(s, "its root can't be read: %s", strerror(errno));
	else if (host ? strcmp(root, "/") != 0 : s->root[0] != '\0' && strcmp(root, s->root) != 0)
		subject_deviates(s, "its root is %s instead of %s", root, host ? "/" : s->root);
	if (!proc_link(s->pid, "exe", exe, sizeof exe))
		return;
	base = strrchr(exe, '/') == NULL ? exe : strrchr(exe, '/') + 1;
	if (strncmp(base, s->process, strlen(s->process)) != 0 || isalnum((unsigned char)base[strlen(s->process)]))
		subject_deviates(s, "it executes %s", exe);
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

	if (!proc_read(s->pid, "limits", limits, sizeof limits))
		return;
	for (size_t i = 0; i < nitems(names); i++) {
		const char *line = strstr(limits, names[i].name);
		unsigned long long may = 0, now;
		bool bound = names[i].resource == RLIMIT_CORE;

		for (const struct limit *l = s->may->limits; l < s->may->limits + nitems(s->may->limits); l++)
			if (l->resource == names[i].resource && (l->resource != 0 || l->value != 0)) {
				may = l->value;
				if (l->resource == RLIMIT_NOFILE)
					may += (unsigned long long)s->may->fds_a_session * s->sessions;
				bound = true;
			}
		if (!bound || line == NULL)
			continue;
		line += strlen(names[i].name);
		line += strspn(line, " ");
		now = strncmp(line, "unlimited", 9) == 0 ? ~0ULL : strtoull(line, NULL, 10);
		if (now > may)
			subject_deviates(s, "%s is %llu, the plan says %llu", names[i].name, now, may);
	}
}

/* ---- what is said ---- */

static void
print_row(const struct subject *s, const char *service)
{
	char root[512], text[64];
	bool filtered = strcmp(subject_field(s, "Seccomp", text, sizeof text), "2") == 0;

	(void)proc_link(s->pid, "root", root, sizeof root);
	(void)printf("%-8s %-8s %7d %7u %-8s %-4s %-4s %3u  %s\n", service, s->process, s->pid, s->uid,
	    filtered ? "filter" : "none", s->may->no_landlock ? "no" : "yes",
	    strtoull(subject_field(s, "CapEff", text, sizeof text), NULL, 16) == 0 ? "none" : "some", s->n_fds, root);
	for (unsigned i = 0; i < s->n_deviations && i < DEVIATIONS_MAX; i++)
		(void)printf("  DEVIATION %s[%d]: %s\n", s->process, s->pid, s->deviations[i]);
}

static void
print_json(const struct subject *s, const char *service)
{
	static const char *const numbers[] = { "Uid", "Gid", "CapEff", "CapPrm", "CapBnd", "NoNewPrivs", "Seccomp",
		"Seccomp_filters" };
	char text[512];

	(void)printf("{\"service\":");
	plan_json_text(service);
	(void)printf(",\"process\":");
	plan_json_text(s->process);
	(void)printf(",\"pid\":%d,\"descriptors\":%u,\"root\":", s->pid, s->n_fds);
	(void)proc_link(s->pid, "root", text, sizeof text);
	plan_json_text(text);
	for (size_t i = 0; i < nitems(numbers); i++) {
		(void)printf(",\"%s\":", numbers[i]);
		plan_json_text(subject_field(s, numbers[i], text, sizeof text));
	}
	(void)printf(",\"deviations\":[");
	for (unsigned i = 0; i < s->n_deviations && i < DEVIATIONS_MAX; i++) {
		(void)printf(i == 0 ? "" : ",");
		plan_json_text(s->deviations[i]);
	}
	(void)printf("]}\n");
}

/* ---- processes ---- */

static bool
has_gone(int pid)
{
	char text[16];

	return !proc_read(pid, "stat", text, sizeof text);
}

static void
check(struct house *h, struct subject *s, const char *service)
{
	bool is_there = proc_read(s->pid, "status", s->status, sizeof s->status) &&
	    strstr(s->status, "\nState:\tZ") == NULL;

	bool may_end = !s->slots || s->any_user; /* a session, or a user's process */

	if (!is_there && may_end)
		return;
	if (is_there) {
		check_ids(s);
		check_capabilities(s);
		check_switches(s);
		check_root(s);
		check_limits(s);
		subject_check_fds(s);
		if (s->n_deviations > 0 && may_end && has_gone(s->pid))
			return; /* it ended while it was looked at */
	} else
		subject_deviates(s, "it does not run");
	(h->json ? print_json : print_row)(s, service);
	h->n += is_there;
	h->deviations += s->n_deviations;
}

static int
parent_of(int pid)
{
	char text[1024];
	const char *at;
	int parent = -1;

	if (!proc_read(pid, "stat", text, sizeof text) || (at = strrchr(text, ')')) == NULL ||
	    sscanf(at + 1, " %*c %d", &parent) != 1)
		return -1;
	return parent;
}

/* what lspawn or pspawn has started */
static void
make_users(struct subject *s)
{
	static const char *const programs[] = { "pop3box", "instruct", "pipe", "local" };
	char text[256], exe[512] = "";
	const char *name = proc_link(s->pid, "exe", exe, sizeof exe) ? strrchr(exe, '/') : NULL;

	s->process = "local";
	for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++)
		if (name != NULL && strncmp(name + 1, programs[i], strlen(programs[i])) == 0)
			s->process = programs[i];
	s->may = plan_privileges(s->process);
	s->any_user = s->slots = true;
	s->root[0] = '\0';
	if (proc_read(s->pid, "status", s->status, sizeof s->status))
		s->uid = (unsigned)strtoul(subject_field(s, "Uid", text, sizeof text), NULL, 10);
}

/* sessions of a zygote, and what lspawn and pspawn have started */
static void
check_children(struct house *h, const struct subject *parent, const char *service)
{
	static struct subject s;
	struct dirent *e;
	DIR *d = opendir("/proc");

	while (d != NULL && (e = readdir(d)) != NULL) {
		int pid = proc_number(e->d_name);

		if (pid <= 0 || parent_of(pid) != parent->pid)
			continue;
		s = *parent;
		s.pid = pid;
		s.slots = false;
		s.n_fds = s.n_deviations = 0;
		if (strcmp(parent->process, "lspawn") == 0 || strcmp(parent->process, "pspawn") == 0)
			make_users(&s);
		check(h, &s, service);
	}
	if (d != NULL)
		(void)closedir(d);
}

static void
check_member(struct house *h, const char *line, const char *service, char *process, size_t size)
{
	static const struct privileges unknown = { .process = "?", .no_seccomp = true };
	static struct subject s;
	char name[64];

	s = (struct subject){ .slots = true };
	process[0] = '\0';
	if (sscanf(line, "%63s %d %u %u %*u %511s %u", name, &s.pid, &s.uid, &s.gid, s.root, &s.sessions) != 6)
		return;
	(void)snprintf(process, size, "%s", name);
	s.process = process;
	s.may = plan_privileges(process);
	if (s.may == NULL) {
		s.may = &unknown;
		subject_deviates(&s, "it is not in the plan");
	}
	check(h, &s, service);
	if (s.may->syscalls & MAY_FORK)
		check_children(h, &s, service);
}

static void
check_service(struct house *h, const char *path)
{
	char line[1024], process[64], service[64];
	const char *base = strrchr(path, '/') + 1;
	bool seen[64] = { false };
	FILE *f = fopen(path, "re");

	(void)snprintf(service, sizeof service, "%.*s", (int)strcspn(base, "."), base);
	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		check_member(h, line, service, process, sizeof process);
		for (size_t i = 0; i < plan_n_members && i < nitems(seen); i++)
			seen[i] |= strcmp(plan_members[i].service, service) == 0 &&
			    strcmp(plan_members[i].process, process) == 0;
	}
	for (size_t i = 0; i < plan_n_members && i < nitems(seen); i++)
		if (!seen[i] && strcmp(plan_members[i].service, service) == 0 &&
		    !house_is_optional(plan_members[i].process)) {
			static struct subject s;

			s = (struct subject){ .slots = true, .process = plan_members[i].process, .pid = -1 };
			s.may = plan_privileges(s.process);
			check(h, &s, service);
		}
	if (f != NULL)
		(void)fclose(f);
}

int
plan_live(const char *run_dir, bool json)
{
	struct house h = { json, 0, 0 };
	char pattern[512];
	glob_t g;

	(void)snprintf(pattern, sizeof pattern, "%s/*.pids", run_dir);
	if (glob(pattern, 0, NULL, &g) != 0) {
		(void)fprintf(stderr, "postern plan: no warden runs an instance in %s\n", run_dir);
		return 111;
	}
	if (!json)
		(void)printf("%-8s %-8s %7s %7s %-8s %-4s %-4s %3s  %s\n", "SERVICE", "PROCESS", "PID", "UID",
		    "SECCOMP", "LAND", "CAPS", "FDS", "ROOT");
	for (size_t i = 0; i < g.gl_pathc; i++)
		check_service(&h, g.gl_pathv[i]);
	globfree(&g);
	(void)printf(json ? "{\"processes\":%u,\"deviations\":%u}\n" : "%u processes, %u deviations from the plan\n",
	    h.n, h.deviations);
	return h.deviations > 0 ? 1 : 0;
}
