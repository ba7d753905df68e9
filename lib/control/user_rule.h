/* For whom a process is started: one rule, by which the table of users is made. policy, auth and send read in the table what
 * lspawn would say, and lspawn asks again before it starts anything. */
#pragma once

#include "base/bytes.h"

#include <stdint.h>

enum user_refusal {
	USER_SERVED,
	USER_IS_ROOT,
	USER_BELOW_MINUID,
	USER_BELOW_MINGID,
	USER_OF_THE_HOUSE,
	USER_GROUP_OF_THE_HOUSE,
	USER_WITHOUT_PATH, /* the home is no absolute path */
	USER_HOME_MISSING,
	USER_HOME_NO_DIRECTORY,
	USER_HOME_OF_OTHERS,
	USER_N_REFUSALS
};

/* "the uid is below minuid"; empty for USER_SERVED. */
const char *user_refusal_text(enum user_refusal refusal);

#define USER_OWN_MAX 256

struct user_bounds {
	uint32_t min_uid, min_gid;      /* the items minuid and mingid */
	uint32_t own_ids[USER_OWN_MAX]; /* uids of the house, */
	uint32_t own_gids[USER_OWN_MAX];
	size_t n_own;           /* of each */
	bool homes_are_trusted; /* user_home_check says USER_SERVED: for tests, whose homes are names only */
};

/* Whether something may ever be done as this uid and gid, in such a home. */
enum user_refusal user_check(const struct user_bounds *bounds, uint64_t uid, uint64_t gid, struct bytes home);

/* Whether the home is a directory of its user's own, as far as that can be known now. */
enum user_refusal user_home_check(const struct user_bounds *bounds, uint64_t uid, struct bytes home);
