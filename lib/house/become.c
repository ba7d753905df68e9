/* The way from a fork to another program.
 * Trusts the plan's tables and root's control files; runs as root until the program has confined itself, which is the first
 * that it does.
 * Never leaves a descriptor open that is no gift, never goes on by half. */
#include "house/become.h"

#include "base/buf.h"
#include "config.h"
#include "house/client_ports.h"
#include "house/programs.h"
#include "sys/confine_into.h"
#include "sys/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define PARKED_FD 1024 /* sources are moved above all targets before they take their places */
#define ARGUMENTS_MAX 26
#define HELPERS_FDS_MAX (1u << 18)

struct arguments {
	char *words[ARGUMENTS_MAX];
	size_t n;
	char uid[16], gid[16], sessions[16], ids[4096], groups[512], ports[1024];
};

__attribute__((noreturn)) static void
refuse(const char *why)
{
	log_simple(SEVERITY_ERROR, "start", "why", why);
	_exit(111);
}

/* ---- descriptors ---- */

static bool
place_gifts(struct parcel *p)
{
	for (size_t i = 0; i < p->n; i++) {
		struct gift *g = &p->gifts[i];

		g->source = g->source < 0 ? open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : g->source;
		if (g->source < 0 || (g->source = fcntl(g->source, F_DUPFD_CLOEXEC, PARKED_FD)) < 0)
			return false;
	}
	/* whatever lies at a target and is no gift must not look like one */
	if (close_range(3, PARKED_FD - 1, 0) != 0)
		return false;
	for (size_t i = 0; i < p->n; i++)
		if (dup2(p->gifts[i].source, p->gifts[i].target) < 0)
			return false;
	return true;
}

/* Moves a held executable above the numbers that close_range clears. -1: it is executed by name, or can't be moved. */
static int
park_program(const struct instance *in, const char *name)
{
	int fd = in->programs != NULL ? programs_find(in->programs, name) : -1;

	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, PARKED_FD);
}

/* ---- arguments ---- */

static void
list_own_id(const struct instance *in, const char *user, struct buf *ids)
{
	struct why why = WHY_NONE;
	struct owner owner;

	if (instance_user(in, user, &owner, &why) == OK)
		buf_format(ids, "%s%u", ids->len > 0 ? "," : "", owner.uid);
}

/* Whom lspawn must not become, with commas between: the users of all services, and those that older versions had, one for each
 * role. False if there is no room: without the list it must not run. */
static bool
list_own_ids(const struct instance *in, char *text, size_t size)
{
	static struct house_user users[HOUSE_USERS_MAX];
	size_t n = house_users(users);
	struct buf ids = buf_over(text, size);

	for (size_t i = 0; i < n; i++) {
		list_own_id(in, users[i].name, &ids);
		if (house_role_is_shared(users[i].role))
			list_own_id(in, users[i].role, &ids);
	}
	return buf_string(&ids) != NULL;
}

static void
put(struct arguments *a, const char *word)
{
	a->words[a->n++] = (char *)(uintptr_t)word;
}

static void
put_two(struct arguments *a, const char *option, const char *value)
{
	put(a, option);
	put(a, value);
}

/* the ports of other hosts that root's control files name */
static void
put_ports(struct arguments *a, const char *process, const struct control_source *source)
{
	struct buf ports = BUF_OVER(a->ports);

	if (strcmp(process, "resolve") == 0)
		resolver_ports_name(&ports, source);
	else
		client_ports_name(&ports, source);
	if (buf_string(&ports) == NULL)
		refuse("the control files name more ports than can be allowed");
	if (ports.len > 0)
		put_two(a, "-p", a->ports);
}

static void
put_all(struct arguments *a, const struct instance *in, const struct control_source *source, const struct member *m)
{
	const struct privileges *p = house_privileges(m->process);
	const char *root = instance_root(in, p);

	(void)snprintf(a->uid, sizeof a->uid, "%u", m->owner.uid);
	(void)snprintf(a->gid, sizeof a->gid, "%u", m->owner.gid);
	put(a, m->process);
	put_two(a, "-n", in->service);
	put_two(a, "-v", POSTERN_VERSION);
	put_two(a, "-u", a->uid);
	put_two(a, "-g", a->gid);
	if (root != NULL)
		put_two(a, "-r", root);
	if (strcmp(p->user, "root") == 0) {
		if (!list_own_ids(in, a->ids, sizeof a->ids))
			refuse("Postern has more users than lspawn can be told of");
		put_two(a, "-x", a->ids);
	}
	if (p->own_groups && owner_list_groups(&m->owner, a->groups, sizeof a->groups))
		put_two(a, "-s", a->groups);
	if (p->more_ports && source != NULL)
		put_ports(a, m->process, source);
	if (m->sessions > 0) {
		(void)snprintf(a->sessions, sizeof a->sessions, "%u", m->sessions);
		put_two(a, "-m", a->sessions);
	}
	if (in->lenient)
		put(a, "--lenient");
	if (in->same_user)
		put(a, "--same-user");
	put(a, NULL);
}

/* ---- all of it ---- */

/* A command may have been started with little memory for its program (softlimit). What its helpers may have is in their tables;
 * the hard limits hold, but for descriptors, of which they need some for each connection. */
static void
lift_soft_limits(void)
{
	static const int limits[] = { RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_MEMLOCK, RLIMIT_NOFILE,
		RLIMIT_NPROC };
	struct rlimit l, now;

	for (size_t i = 0; i < nitems(limits); i++)
		if (getrlimit((__rlimit_resource_t)limits[i], &l) == 0) {
			l.rlim_cur = l.rlim_max;
			(void)setrlimit((__rlimit_resource_t)limits[i], &l);
		}
	l.rlim_cur = l.rlim_max = HELPERS_FDS_MAX;
	if (getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_max < l.rlim_max)
		(void)setrlimit(RLIMIT_NOFILE, &l); /* only root may */
}

void
become_member(const struct instance *in, const struct control_source *source, const struct member *m, struct parcel *p)
{
	static char *environment[] = { NULL };
	struct arguments a = { .n = 0 };
	struct why why = WHY_NONE;
	char path[512];
	sigset_t none;
	int program = park_program(in, m->process);

	(void)snprintf(path, sizeof path, "%s/%s", in->libexec, m->process);
	put_all(&a, in, source, m);
	if (m->group <= 0 || setpgid(0, m->group) != 0)
		(void)setpgid(0, 0); /* so that all that it starts can be found */
	(void)sigemptyset(&none);
	if (!place_gifts(p))
		refuse(strerrordesc_np(errno));
	if (in->label != NULL)
		lift_soft_limits();
	if (in->same_user && process_apart(&why) != OK)
		refuse(why.text);
	(void)signal(SIGALRM, SIG_IGN); /* send is told to retry by it, perhaps before it can hear */
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (program >= 0)
		(void)execveat(program, "", a.words, environment, AT_EMPTY_PATH);
	else
		(void)execve(path, a.words, environment);
	refuse(strerrordesc_np(errno));
}
