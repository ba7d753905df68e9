/* The plan as tables.
 * Data from census.def, graph.def and daemons/NAME/privileges.c; no process is named anywhere else in warden.
 * Never invents an edge: what is not in the graph is not wired. */
#include "house/house.h"

#include "base/bytes.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define PROCESS(name, by) extern const struct privileges name##_privileges;
#include "census.def"

static const struct privileges *const all[] = {
#define PROCESS(name, by) &name##_privileges,
#include "census.def"
};

static const struct {
	const char *service, *process;
} members_of[] = {
#define MEMBER(service, process) { #service, #process },
#define HELPER(command, process) { #command, #process },
#include "census.def"
};

static const char *const overlapping[] = {
#define OVERLAP(service) #service,
#include "census.def"
};

static const char *const alone[] = {
#define ALONE(process) #process,
#include "census.def"
};

static const struct {
	const char *service, *process, *slot;
} without[] = {
#define WITHOUT(service, process, slot) { #service, #process, slot },
#include "census.def"
};

static const struct {
	const char *process;
	bool (*asks)(const struct control_source *source);
} where_wanted[] = {
#define WHERE_WANTED(process, asks) { #process, asks },
#include "census.def"
};

static const struct {
	const char *process;
	enum control_item item;
} sessions_by[] = {
#define SESSIONS(process, item) { #process, ITEM_##item },
#include "census.def"
};

static const char *const shared_groups[] = {
#define GROUP(role) #role,
#include "census.def"
};

static const char *const users_besides[] = {
#define USER(name) #name,
#include "census.def"
};

const struct house_edge house_edges[] = {
#define EDGE(from, from_slot, to, to_slot, protocol) { #from, from_slot, #to, to_slot },
#include "graph.def"
};
const size_t house_n_edges = nitems(house_edges);

const struct house_doorway house_doorways[] = {
#define DOORWAY(client, client_slot, owner, owner_slot, protocol, socket) \
	{ NULL, #client, client_slot, #owner, owner_slot, socket },
#define DOORWAY_OF(service, client, client_slot, owner, owner_slot, protocol, socket) \
	{ #service, #client, client_slot, #owner, owner_slot, socket },
#include "graph.def"
};
const size_t house_n_doorways = nitems(house_doorways);
static_assert(nitems(house_doorways) <= HOUSE_DOORWAYS_MAX, "the bound in house.h");

const struct privileges *
house_privileges(const char *process)
{
	for (size_t i = 0; i < nitems(all); i++)
		if (strcmp(all[i]->process, process) == 0)
			return all[i];
	return NULL;
}

size_t
house_members(const char *service, const char *members[HOUSE_MEMBERS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < nitems(members_of) && n < HOUSE_MEMBERS_MAX; i++)
		if (strcmp(members_of[i].service, service) == 0)
			members[n++] = members_of[i].process;
	return n;
}

bool
house_may_overlap(const char *service)
{
	for (size_t i = 0; i < nitems(overlapping); i++)
		if (strcmp(overlapping[i], service) == 0)
			return true;
	return false;
}

bool
house_is_replaced_alone(const char *process)
{
	for (size_t i = 0; i < nitems(alone); i++)
		if (strcmp(alone[i], process) == 0)
			return true;
	return false;
}

bool
house_is_optional(const char *process)
{
	for (size_t i = 0; i < nitems(where_wanted); i++)
		if (strcmp(where_wanted[i].process, process) == 0)
			return true;
	return false;
}

bool
house_is_wanted(const char *process, const struct control_source *source)
{
	for (size_t i = 0; i < nitems(where_wanted); i++)
		if (strcmp(where_wanted[i].process, process) == 0)
			return source != NULL && where_wanted[i].asks(source);
	return true;
}

static bool
is_member(const char *service, const char *process)
{
	for (size_t i = 0; i < nitems(members_of); i++)
		if (strcmp(members_of[i].service, service) == 0 && strcmp(members_of[i].process, process) == 0)
			return true;
	return false;
}

unsigned
house_sessions(const char *service, const struct control_source *source)
{
	uint64_t sum = 0;

	for (size_t i = 0; source != NULL && i < nitems(sessions_by); i++)
		if (is_member(service, sessions_by[i].process))
			sum += control_source_number(source, sessions_by[i].item);
	return (unsigned)sum;
}

bool
house_can_do_without(const char *process, const char *slot)
{
	const struct fd_slot *s = house_slot(process, slot);

	if (s == NULL || !s->optional)
		return false;
	for (size_t i = 0; i < nitems(without); i++)
		if (strcmp(without[i].process, process) == 0 && strcmp(without[i].slot, slot) == 0)
			return false;
	return true;
}

bool
house_goes_without(const char *service, const char *process, const char *slot)
{
	for (size_t i = 0; i < nitems(without); i++)
		if (strcmp(without[i].service, service) == 0 && strcmp(without[i].process, process) == 0 &&
		    strcmp(without[i].slot, slot) == 0)
			return true;
	return false;
}

const struct fd_slot *
house_slot(const char *process, const char *name)
{
	const struct privileges *p = house_privileges(process);

	if (p == NULL)
		return NULL;
	for (const struct fd_slot *s = p->fds; s < p->fds + nitems(p->fds) && s->name != NULL; s++)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

/* ---- users ---- */

static bool
is_of_house(const char *role)
{
	return strcmp(role, "root") != 0 && strcmp(role, "recipient") != 0;
}

bool
house_role_is_shared(const char *role)
{
	const char *first = NULL;

	for (size_t i = 0; i < nitems(members_of) && is_of_house(role); i++) {
		if (strcmp(house_privileges(members_of[i].process)->user, role) != 0)
			continue;
		if (first != NULL && strcmp(first, members_of[i].service) != 0)
			return true;
		first = members_of[i].service;
	}
	return false;
}

/* The longest names are checked by a unit test, with the prefix. */
void
house_user_name(const char *role, const char *service, char name[HOUSE_USER_LEN + 1])
{
	if (house_role_is_shared(role))
		(void)snprintf(name, HOUSE_USER_LEN + 1, "%s-%s", role, service);
	else
		(void)snprintf(name, HOUSE_USER_LEN + 1, "%s", role);
}

static const char *
group_of(const char *role)
{
	for (size_t i = 0; i < nitems(shared_groups); i++)
		if (strcmp(shared_groups[i], role) == 0)
			return shared_groups[i];
	return NULL;
}

size_t
house_users(struct house_user users[HOUSE_USERS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < nitems(members_of) && n < HOUSE_USERS_MAX; i++) {
		const char *role = house_privileges(members_of[i].process)->user;

		if (!is_of_house(role))
			continue;
		users[n] = (struct house_user){
			.role = role, .service = members_of[i].service, .group = group_of(role)
		};
		house_user_name(role, members_of[i].service, users[n].name);
		n++;
	}
	for (size_t i = 0; i < nitems(users_besides) && n < HOUSE_USERS_MAX; i++) {
		users[n] = (struct house_user){ .role = users_besides[i] };
		(void)snprintf(users[n].name, sizeof users[n].name, "%s", users_besides[i]);
		n++;
	}
	return n;
}
