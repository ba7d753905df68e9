/* The plan as the warden reads it: census.def, graph.def and the privileges of all processes. */
#pragma once

#include "control/source.h"
#include "sys/privileges.h"

#include <stddef.h>

#define HOUSE_DOORWAYS_MAX 32 /* in the whole graph */
#define HOUSE_MEMBERS_MAX 8   /* processes of one service */

struct house_edge {
	const char *from, *from_slot, *to, *to_slot;
};

struct house_doorway {
	const char *client, *client_slot, *owner, *owner_slot, *socket;
};

extern const struct house_edge house_edges[];
extern const size_t house_n_edges;
extern const struct house_doorway house_doorways[];
extern const size_t house_n_doorways;

/* The privileges of a process; null if there is none of that name. */
const struct privileges *house_privileges(const char *process);

/* The processes of a service, or helpers of a command, in the order of their start; returns how many, 0 if there is no such
 * service. */
size_t house_members(const char *service, const char *members[HOUSE_MEMBERS_MAX]);
bool house_may_overlap(const char *service);

/* Whether that process is started only where control items want it; and whether these do. */
bool house_is_optional(const char *process);
bool house_is_wanted(const char *process, const struct control_source *source);

/* Whether that process gets nothing at that slot in this service. */
bool house_goes_without(const char *service, const char *process, const char *slot);

/* True if the slot is optional in every service; one that some service goes without is needed in the others. */
bool house_can_do_without(const char *process, const char *slot);

/* The slot of that name in a process's table; null if there is none. */
const struct fd_slot *house_slot(const char *process, const char *name);
