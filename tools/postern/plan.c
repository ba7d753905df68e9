/* Printing of the plan.
 * Data from census.def, graph.def, the privileges tables and the sets of system calls; nothing is known here besides.
 * Never asks the running system: that is plan_live.c. */
#include "postern/plan.h"

#include "base/bytes.h"
#include "config.h"
#include "sys/syscalls.h"

#include <stdio.h>
#include <string.h>

#define PROCESS(name, by) extern const struct privileges name##_privileges;
#include "census.def"

static const struct {
	const struct privileges *may;
	const char *by;
} all[] = {
#define PROCESS(name, by) { &name##_privileges, #by },
#include "census.def"
};

static const struct {
	const char *service, *process;
} members[] = {
#define MEMBER(service, process) { #service, #process },
#include "census.def"
};

static const struct {
	const char *from, *to, *protocol, *how;
} edges[] = {
#define EDGE(from, from_slot, to, to_slot, protocol) { #from, #to, #protocol, "channel from the start" },
#define DOORWAY(client, client_slot, owner, owner_slot, protocol, socket) \
	{ #client, #owner, #protocol, "through the door " socket },
#define MADE(maker, first, second, protocol) { #first, #second, #protocol, "channel made by " #maker },
#include "graph.def"
};

const struct privileges *
plan_privileges(const char *process)
{
	for (size_t i = 0; i < nitems(all); i++)
		if (strcmp(all[i].may->process, process) == 0)
			return all[i].may;
	return NULL;
}

static const char *
root_name(const struct privileges *p)
{
	static const char *const names[] = { [HOST_ROOT] = "host",
		[EMPTY_ROOT] = "empty",
		[GIVEN_ROOT] = "own directory",
		[GIVEN_HOME] = "host, home by landlock" };

	return names[p->root];
}

static const char *
network_name(const struct privileges *p)
{
	if (p->no_seccomp)
		return "binds";
	if (p->any_port || p->ports[0].port != 0)
		return "connects";
	if (p->syscalls & MAY_ACCEPT)
		return "accepts";
	return p->holds & HOLDS_CONNECTION ? "one peer" : "none";
}

static void
print_user(const struct privileges *p, char *into, size_t size)
{
	bool plain = strcmp(p->user, "root") == 0 || strcmp(p->user, "recipient") == 0;

	(void)snprintf(into, size, "%s%s", plain ? "" : POSTERN_USER_PREFIX, p->user);
}

static void
print_table(void)
{
	char user[64];

	(void)printf("%-8s %-11s %-23s %-9s %-8s %s\n", "PROCESS", "USER", "ROOT", "NETWORK", "STARTED", "JOB");
	for (size_t i = 0; i < nitems(all); i++) {
		const struct privileges *p = all[i].may;

		print_user(p, user, sizeof user);
		(void)printf("%-8s %-11s %-23s %-9s %-8s %s\n", p->process, user, root_name(p), network_name(p),
		    all[i].by, p->purpose);
	}
	(void)printf("\nSERVICES\n");
	for (size_t i = 0; i < nitems(members); i++)
		if (i == 0 || strcmp(members[i].service, members[i - 1].service) != 0)
			(void)printf("%s%-8s warden %s", i == 0 ? "" : "\n", members[i].service, members[i].process);
		else
			(void)printf(" %s", members[i].process);
	(void)printf("\n\nWHO TALKS TO WHOM\n");
	for (size_t i = 0; i < nitems(edges); i++)
		(void)printf("%-8s %-8s %-14s %s\n", edges[i].from, edges[i].to, edges[i].protocol, edges[i].how);
}

static void
print_call(const char *call, const char *set, const char *reason, void *context)
{
	(void)context;
	(void)printf("  %-18s %-18s %s\n", call, set, reason);
}

static void
print_fds(const struct privileges *p)
{
	(void)printf("descriptors at the start:\n  0, 1 /dev/null; 2 the log\n");
	for (const struct fd_slot *s = p->fds; s < p->fds + nitems(p->fds) && s->name != NULL; s++)
		if (s->many > 0)
			(void)printf("  %d to %d %s: %s\n", s->fd, s->fd + s->many - 1, s->name, fd_kind_name(s->kind));
		else
			(void)printf("  %d %s: %s%s\n", s->fd, s->name, fd_kind_name(s->kind),
			    s->optional ? " (may be absent)" : "");
}

static void
print_limits(const struct privileges *p)
{
	static const struct {
		int resource;
		const char *name;
	} names[] = { { RLIMIT_NOFILE, "descriptors" }, { RLIMIT_NPROC, "processes" }, { RLIMIT_AS, "address space" },
		{ RLIMIT_FSIZE, "file size" }, { RLIMIT_MEMLOCK, "locked memory" }, { RLIMIT_DATA, "data" } };

	(void)printf("limits: no core dumps");
	for (const struct limit *l = p->limits;
	     l < p->limits + nitems(p->limits) && (l->resource != 0 || l->value != 0); l++)
		for (size_t i = 0; i < nitems(names); i++)
			if (names[i].resource == l->resource)
				(void)printf(", %s %llu", names[i].name, (unsigned long long)l->value);
	(void)printf("\n");
}

static void
print_process(const struct privileges *p)
{
	char user[64];

	print_user(p, user, sizeof user);
	(void)printf(
	    "%s: %s\nuser: %s\nroot: %s\nnetwork: %s\n", p->process, p->purpose, user, root_name(p), network_name(p));
	(void)printf("capabilities kept: %s\n", p->capabilities == 0 ? "none" : "some of root's");
	if (p->paths[0].path == NULL)
		(void)printf("paths: %s\n", p->no_landlock ? "not bound by landlock" : "none");
	for (const struct path_rule *r = p->paths; r < p->paths + nitems(p->paths) && r->path != NULL; r++)
		(void)printf("path: %s%s%s\n", r->path, r->rights & PATH_READ ? " read" : "",
		    r->rights & PATH_WRITE ? " write" : "");
	for (const struct port_rule *r = p->ports; r < p->ports + nitems(p->ports) && r->port != 0; r++)
		(void)printf("port: %s %u\n", r->connect ? "connect" : "bind", r->port);
	print_fds(p);
	print_limits(p);
	(void)printf("talks to:\n");
	for (size_t i = 0; i < nitems(edges); i++)
		if (strcmp(edges[i].from, p->process) == 0 || strcmp(edges[i].to, p->process) == 0)
			(void)printf("  %s (%s, %s)\n",
			    strcmp(edges[i].from, p->process) == 0 ? edges[i].to : edges[i].from, edges[i].protocol,
			    edges[i].how);
	(void)printf("system calls%s:\n", p->no_seccomp ? ": not filtered" : "");
	syscalls_list(p->syscalls, print_call, NULL);
}

static int
usage(void)
{
	(void)fputs("usage: postern plan [PROCESS]\n       postern plan --live [-R RUNDIR]\n", stderr);
	return 100;
}

int
plan_main(int argc, char *argv[])
{
	const char *run_dir = POSTERN_RUNDIR;
	bool live = false;
	int i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++)
		if (strcmp(argv[i], "--live") == 0)
			live = true;
		else if (strcmp(argv[i], "-R") == 0 && i + 1 < argc)
			run_dir = argv[++i];
		else
			return usage();
	if (i + 1 < argc || (live && i < argc))
		return usage();
	if (live)
		return plan_live(run_dir);
	if (i == argc)
		print_table();
	else if (plan_privileges(argv[i]) != NULL)
		print_process(plan_privileges(argv[i]));
	else {
		(void)fprintf(stderr, "postern plan: there is no process %s\n", argv[i]);
		return 100;
	}
	return 0;
}
