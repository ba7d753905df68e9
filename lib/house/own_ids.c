/* The ids of the house, as bounds of the table of users.
 * Trusts the census, and uids or passwd for the numbers.
 * Never leaves one out for want of room: the bound is checked here. */
#include "house/house.h"
#include "house/instance.h"

#include <assert.h>

static_assert(USER_OWN_MAX >= 2 * HOUSE_USERS_MAX, "room for each user, and for one of its role");

static void
add(const struct instance *in, const char *name, struct user_bounds *b)
{
	struct why why = WHY_NONE;
	struct owner owner;

	if (instance_user(in, name, &owner, &why) != OK || b->n_own == USER_OWN_MAX)
		return; /* a user that is not there is nobody's */
	b->own_ids[b->n_own] = owner.uid;
	b->own_gids[b->n_own++] = owner.gid;
}

void
instance_add_own(const struct instance *in, struct user_bounds *bounds)
{
	static struct house_user users[HOUSE_USERS_MAX];
	size_t n = house_users(users);

	for (size_t i = 0; i < n; i++) {
		add(in, users[i].name, bounds);
		if (house_role_is_shared(users[i].role))
			add(in, users[i].role, bounds);
	}
}
