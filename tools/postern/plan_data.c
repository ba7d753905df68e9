/* The plan's data in one place: census.def, graph.def, the privileges tables and the protocols of the edges.
 * Trusts nothing; it is all made by the compiler.
 * Never says more than these files: what is not in them is not in the plan. */
#include "postern/plan.h"

#include "base/bytes.h"
#include "config.h"
#include "house/house.h"

#include <stdio.h>
#include <string.h>

#define PROCESS(name, by) extern const struct privileges name##_privileges;
#include "census.def"

#define EDGE(from, from_slot, to, to_slot, protocol) extern const struct wire_protocol protocol##_protocol;
#define DOORWAY(client, client_slot, owner, owner_slot, protocol, socket) \
	extern const struct wire_protocol protocol##_protocol;
#define MADE(maker, first, second, protocol) extern const struct wire_protocol protocol##_protocol;
#include "graph.def"

const struct plan_process plan_processes[] = {
#define PROCESS(name, by) { &name##_privileges, #by },
#include "census.def"
};
const size_t plan_n_processes = nitems(plan_processes);

const struct plan_member plan_members[] = {
#define MEMBER(service, process) { #service, #process },
#define HELPER(command, process) { #command, #process },
#include "census.def"
};
const size_t plan_n_members = nitems(plan_members);

const struct plan_edge plan_edges[] = {
#define EDGE(from, from_slot, to, to_slot, protocol) { #from, #to, "channel from the start", &protocol##_protocol },
#define DOORWAY(client, client_slot, owner, owner_slot, protocol, socket) \
	{ #client, #owner, "through the door " socket, &protocol##_protocol },
#define DOORWAY_OF(service, client, client_slot, owner, owner_slot, protocol, socket) \
	{ #client, #owner, "of " #service " through the door " socket, &protocol##_protocol },
#define MADE(maker, first, second, protocol) { #first, #second, "channel made by " #maker, &protocol##_protocol },
#include "graph.def"
};
const size_t plan_n_edges = nitems(plan_edges);

const struct privileges *
plan_privileges(const char *process)
{
	for (size_t i = 0; i < plan_n_processes; i++)
		if (strcmp(plan_processes[i].may->process, process) == 0)
			return plan_processes[i].may;
	return NULL;
}

const char *
plan_root_name(const struct privileges *p)
{
	static const char *const names[] = {
		[HOST_ROOT] = "host", [EMPTY_ROOT] = "empty", [GIVEN_ROOT] = "own", [GIVEN_HOME] = "home"
	};

	return names[p->root];
}

const char *
plan_network_name(const struct privileges *p)
{
	if (p->no_seccomp)
		return "binds";
	if (p->syscalls & MAY_RUN_PROGRAMS)
		return "programs";
	if (p->ports[0].port != 0)
		return "connects";
	if (p->syscalls & MAY_ACCEPT)
		return "accepts";
	return p->holds & HOLDS_CONNECTION ? "one peer" : "none";
}

void
plan_user(const struct privileges *p, char *into, size_t size)
{
	bool plain = strcmp(p->user, "root") == 0 || strcmp(p->user, "recipient") == 0;

	(void)snprintf(into, size, "%s%s%s", plain ? "" : POSTERN_USER_PREFIX, p->user,
	    house_role_is_shared(p->user) ? "-SERVICE" : "");
}

const char *
plan_limit_name(int resource)
{
	static const struct {
		int resource;
		const char *name;
	} names[] = { { RLIMIT_NOFILE, "descriptors" }, { RLIMIT_NPROC, "processes" }, { RLIMIT_AS, "address space" },
		{ RLIMIT_FSIZE, "file size" }, { RLIMIT_MEMLOCK, "locked memory" }, { RLIMIT_DATA, "data" },
		{ RLIMIT_CORE, "core dumps" }, { RLIMIT_STACK, "stack" }, { RLIMIT_CPU, "processor seconds" } };

	for (size_t i = 0; i < nitems(names); i++)
		if (names[i].resource == resource)
			return names[i].name;
	return "?";
}
