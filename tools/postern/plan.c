/* Printing of the plan.
 * Data from census.def, graph.def, the privileges tables and the sets of system calls; nothing is known here besides.
 * Never asks the running system: that is plan_live.c. */
#include "postern/plan.h"

#include "base/bytes.h"
#include "config.h"
#include "house/house.h"
#include "sys/about.h"
#include "sys/syscalls.h"

#include <stdio.h>
#include <string.h>

static void
print_table(void)
{
	char user[64];

	(void)printf("%-9s %-19s %-9s %-8s %s\n", "PROCESS", "USER", "ROOT", "NETWORK", "JOB");
	for (size_t i = 0; i < plan_n_processes; i++) {
		const struct privileges *p = plan_processes[i].may;

		plan_user(p, user, sizeof user);
		(void)printf(
		    "%-9s %-19s %-9s %-8s %s\n", p->process, user, plan_root_name(p), plan_network_name(p), p->purpose);
	}
	(void)printf("\nSERVICES\n");
	for (size_t i = 0; i < plan_n_members; i++)
		if (i == 0 || strcmp(plan_members[i].service, plan_members[i - 1].service) != 0)
			(void)printf(
			    "%s%-8s warden %s", i == 0 ? "" : "\n", plan_members[i].service, plan_members[i].process);
		else
			(void)printf(" %s", plan_members[i].process);
	(void)printf("\n\nWHO TALKS TO WHOM\n");
	for (size_t i = 0; i < plan_n_edges; i++)
		(void)printf("%-8s %-8s %-14s %s\n", plan_edges[i].from, plan_edges[i].to, plan_edges[i].protocol->name,
		    plan_edges[i].how);
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
	(void)printf("limits: no core dumps");
	for (const struct limit *l = p->limits;
	     l < p->limits + nitems(p->limits) && (l->resource != 0 || l->value != 0); l++)
		(void)printf(", %s %llu", plan_limit_name(l->resource), (unsigned long long)l->value);
	if (p->fds_a_session > 0)
		(void)printf(", %u more descriptors for each session of the service", p->fds_a_session);
	if (p->may_raise)
		(void)printf(", and descriptors may be raised to that");
	(void)printf("\n");
}

static void
print_edge(const struct plan_edge *e, const char *process)
{
	const struct wire_protocol *p = e->protocol;

	(void)printf("  %s: %s, %s\n", strcmp(e->from, process) == 0 ? e->to : e->from, p->name, e->how);
	for (const struct wire_row *row = p->rows; row < p->rows + p->n_rows; row++)
		(void)printf("    %-14s from %-8s %4u + up to %4u octets%s%s\n", row->name, p->sides[row->sender],
		    row->body_len, row->tail_max, row->n_fds > 0 ? ", a descriptor" : "",
		    row->often == ONCE ? ", once" : "");
}

static void
print_process(const struct privileges *p)
{
	char user[64];

	plan_user(p, user, sizeof user);
	(void)printf("%s: %s\nuser: %s\nroot: %s\nnetwork: %s\n", p->process, p->purpose, user, plan_root_name(p),
	    plan_network_name(p));
	if (p->own_groups)
		(void)printf("groups: those of that user\n");
	(void)printf("capabilities kept: %s\n", p->capabilities == 0 ? "none" : "some of root's");
	if (p->paths[0].path == NULL)
		(void)printf("paths: %s\n", p->no_landlock ? "not bound by landlock" : "none");
	for (const struct path_rule *r = p->paths; r < p->paths + nitems(p->paths) && r->path != NULL; r++)
		(void)printf("path: %s%s%s%s\n", r->path, r->rights & PATH_READ ? " read" : "",
		    r->rights & PATH_LIST ? " list" : "", r->rights & PATH_WRITE ? " write" : "");
	for (const struct port_rule *r = p->ports; r < p->ports + nitems(p->ports) && r->port != 0; r++)
		(void)printf("port: %s %u\n", r->connect ? "connect" : "bind", r->port);
	if (p->any_source)
		(void)printf("port: bind to one of the kernel's choice, for a local address to connect from\n");
	if (p->more_ports)
		(void)printf("port: connect those that the control files name\n");
	print_fds(p);
	print_limits(p);
	(void)printf("talks to:\n");
	for (size_t i = 0; i < plan_n_edges; i++)
		if (strcmp(plan_edges[i].from, p->process) == 0 || strcmp(plan_edges[i].to, p->process) == 0)
			print_edge(&plan_edges[i], p->process);
	(void)printf("system calls%s:\n", p->no_seccomp ? ": not filtered" : "");
	syscalls_list(p->syscalls, print_call, NULL);
}

static const char usage_text[] = "usage: postern plan [--json] [PROCESS]\n"
				 "       postern plan --live [--json] [-R RUNDIR]\n"
				 "       postern plan --users\n";

static int
usage(void)
{
	(void)fputs(usage_text, stderr);
	return 100;
}

/* For scripts: each user's name in the control file `uids`, its system user, and the group that it shares or "-". */
static int
print_users(void)
{
	static struct house_user users[HOUSE_USERS_MAX];
	size_t n = house_users(users);

	for (size_t i = 0; i < n; i++)
		(void)printf("%s %s%s %s%s\n", users[i].name, POSTERN_USER_PREFIX, users[i].name,
		    users[i].group != NULL ? POSTERN_USER_PREFIX : "-", users[i].group != NULL ? users[i].group : "");
	return 0;
}

static int
print(const char *name, bool json)
{
	const struct privileges *one = name == NULL ? NULL : plan_privileges(name);

	if (name != NULL && one == NULL) {
		(void)fprintf(stderr, "postern plan: there is no process %s\n", name);
		return 100;
	}
	if (json)
		plan_json(one);
	else if (one != NULL)
		print_process(one);
	else
		print_table();
	return 0;
}

int
plan_main(int argc, char *argv[])
{
	const char *run_dir = POSTERN_RUNDIR;
	bool live = false, json = false;
	int i;

	about(argc, argv, "postern plan", usage_text);
	if (argc == 2 && strcmp(argv[1], "--users") == 0)
		return print_users();

	for (i = 1; i < argc && argv[i][0] == '-'; i++)
		if (strcmp(argv[i], "--live") == 0)
			live = true;
		else if (strcmp(argv[i], "--json") == 0)
			json = true;
		else if ((strcmp(argv[i], "-R") == 0 || strcmp(argv[i], "--run") == 0) && i + 1 < argc)
			run_dir = argv[++i];
		else
			return usage();
	if (i + 1 < argc || (live && i < argc))
		return usage();
	return live ? plan_live(run_dir, json) : print(argv[i], json);
}
