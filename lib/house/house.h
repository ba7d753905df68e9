/* The plan as the warden reads it: census.def, graph.def and the privileges of all processes. */
#pragma once

#include "control/source.h"
#include "sys/privileges.h"

#include <stddef.h>

#define HOUSE_DOORWAYS_MAX 32 /* in the whole graph */
#define HOUSE_MEMBERS_MAX 8   /* processes of one service */
#define HOUSE_USERS_MAX 96    /* users of the house */
#define HOUSE_USER_LEN 31     /* octets of a user's name, with the prefix */

struct house_edge {
	const char *from, *from_slot, *to, *to_slot;
};

struct house_doorway {
	const char *service; /* of the client; null: of whatever service */
	const char *client, *client_slot, *owner, *owner_slot, *socket;
};

/* A user of the house. Its name is ROLE-SERVICE, or ROLE if that role serves one service only; the user prefix comes before it. */
struct house_user {
	char name[HOUSE_USER_LEN + 1];
	const char *role, *service; /* service: null if no process of a service runs as this user */
	const char *group;          /* of all users of this role, besides their own; null: none */
};

extern const struct house_edge house_edges[];
extern const size_t house_n_edges;
extern const struct house_doorway house_doorways[];
extern const size_t house_n_doorways;

/* The privileges of a process; null if there is none of that name. */
const struct privileges *house_privileges(const char *process);

/* All users of the house, each once; returns how many. */
size_t house_users(struct house_user users[HOUSE_USERS_MAX]);

/* The name, without the prefix, of the user that a role ("tls", as in privileges) has in a service or command. "root" and
 * "recipient" stay as they are. */
void house_user_name(const char *role, const char *service, char name[HOUSE_USER_LEN + 1]);

/* Whether the users of that role differ from service to service. */
bool house_role_is_shared(const char *role);

/* The processes of a service, or helpers of a command, in the order of their start; returns how many, 0 if there is no such
 * service. */
size_t house_members(const char *service, const char *members[HOUSE_MEMBERS_MAX]);
bool house_may_overlap(const char *service);
bool house_is_replaced_alone(const char *process);

/* Whether that process is started only where control items want it; and whether these do. */
bool house_is_optional(const char *process);
bool house_is_wanted(const char *process, const struct control_source *source);

/* How many sessions a service may have at a time, as its control items say. 0: it has none, or they don't say. */
unsigned house_sessions(const char *service, const struct control_source *source);

/* Whether that process gets nothing at that slot in this service. */
bool house_goes_without(const char *service, const char *process, const char *slot);

/* True if the slot is optional in every service; one that some service goes without is needed in the others. */
bool house_can_do_without(const char *process, const char *slot);

/* The slot of that name in a process's table; null if there is none. */
const struct fd_slot *house_slot(const char *process, const char *name);
