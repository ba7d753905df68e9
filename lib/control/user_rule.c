/* For whom a process is started.
 * Trusts the bounds, which come from root's control files and the plan.
 * Never lets root, a user of the house, or a system account through, whatever a table says. */
#include "control/user_rule.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

const char *
user_refusal_text(enum user_refusal refusal)
{
	static const char *const texts[USER_N_REFUSALS] = {
		[USER_SERVED] = "",
		[USER_IS_ROOT] = "nothing is done as root",
		[USER_BELOW_MINUID] = "the uid is below minuid",
		[USER_BELOW_MINGID] = "the gid is below mingid",
		[USER_OF_THE_HOUSE] = "the uid is one of Postern's own",
		[USER_GROUP_OF_THE_HOUSE] = "the gid is one of Postern's own",
		[USER_WITHOUT_PATH] = "the home is no absolute path",
		[USER_HOME_MISSING] = "the home directory is not there",
		[USER_HOME_NO_DIRECTORY] = "the home is no directory",
		[USER_HOME_OF_OTHERS] = "the home directory belongs to another user",
	};

	return refusal < USER_N_REFUSALS ? texts[refusal] : "the table of users is damaged";
}

static bool
is_among(const uint32_t ids[], size_t n, uint64_t id)
{
	for (size_t i = 0; i < n; i++)
		if (ids[i] == id)
			return true;
	return false;
}

enum user_refusal
user_check(const struct user_bounds *b, uint64_t uid, uint64_t gid, struct bytes home)
{
	if (uid == 0 || gid == 0)
		return USER_IS_ROOT;
	if (uid < b->min_uid)
		return USER_BELOW_MINUID;
	if (gid < b->min_gid)
		return USER_BELOW_MINGID;
	if (is_among(b->own_ids, b->n_own, uid))
		return USER_OF_THE_HOUSE;
	if (is_among(b->own_gids, b->n_own, gid))
		return USER_GROUP_OF_THE_HOUSE;
	if (home.len == 0 || home.at[0] != '/' || home.len >= PATH_MAX || bytes_find(home, '\0') < home.len)
		return USER_WITHOUT_PATH;
	return USER_SERVED;
}

enum user_refusal
user_home_check(const struct user_bounds *b, uint64_t uid, struct bytes home)
{
	char path[PATH_MAX];
	struct stat st;

	if (b->homes_are_trusted || home.len >= sizeof path)
		return USER_SERVED;
	memcpy(path, home.at, home.len);
	path[home.len] = '\0';
	if (stat(path, &st) != 0) /* any other trouble, of a server of files say: the delivery will tell */
		return errno == ENOENT || errno == ENOTDIR ? USER_HOME_MISSING : USER_SERVED;
	return !S_ISDIR(st.st_mode) ? USER_HOME_NO_DIRECTORY : st.st_uid != uid ? USER_HOME_OF_OTHERS : USER_SERVED;
}
