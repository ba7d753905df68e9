/* Tests of the list of users: who runs what in which service.
 * Reads the plan alone; looks at no user of this machine. */
#include "unit.h"

#include "config.h"
#include "house/house.h"

#include <string.h>

static struct house_user users[HOUSE_USERS_MAX];

static const struct house_user *
user_named(size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(users[i].name, name) == 0)
			return &users[i];
	return NULL;
}

static void
no_user_works_in_two_services_or_at_two_jobs(void **state)
{
	size_t n = house_users(users);

	(void)state;
	assert_in_range(n, 30, HOUSE_USERS_MAX - 1);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(users[i].name, users[k].name);
}

static void
every_member_of_a_service_has_its_user_in_the_list(void **state)
{
	static const struct {
		const char *service, *process;
	} members[] = {
#define MEMBER(service, process) { #service, #process },
#define HELPER(command, process) { #command, #process },
#include "census.def"
	};
	size_t n = house_users(users);
	char name[HOUSE_USER_LEN + 1];

	(void)state;
	for (size_t i = 0; i < nitems(members); i++) {
		const char *role = house_privileges(members[i].process)->user;

		if (strcmp(role, "root") == 0)
			continue;
		house_user_name(role, members[i].service, name);
		assert_non_null(user_named(n, name));
		assert_string_equal(user_named(n, name)->role, role);
		assert_string_equal(user_named(n, name)->service, members[i].service);
	}
}

static void
names_have_role_and_service_and_fit_a_system_user(void **state)
{
	size_t n = house_users(users);
	char name[HOUSE_USER_LEN + 1];

	(void)state;
	for (size_t i = 0; i < n; i++)
		assert_in_range(strlen(POSTERN_USER_PREFIX) + strlen(users[i].name), 1, HOUSE_USER_LEN);
	house_user_name("tls", "pop3s", name);
	assert_string_equal(name, "tls-pop3s");
	house_user_name("queue", "send", name); /* as it was before there was a user for each service */
	assert_string_equal(name, "queue");
	house_user_name("root", "send", name);
	assert_string_equal(name, "root");
	assert_string_equal(user_named(n, "authrun-pop3")->group, "authrun");
	assert_null(user_named(n, "log")->service);
	assert_null(user_named(n, "recipient"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_user_works_in_two_services_or_at_two_jobs),
		cmocka_unit_test(every_member_of_a_service_has_its_user_in_the_list),
		cmocka_unit_test(names_have_role_and_service_and_fit_a_system_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
