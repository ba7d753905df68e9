/* Whether what is asked for is a row of the table of users, and one as which a process may be started. */
#pragma once

#include "base/result.h"
#include "control/users_table.h"

#define LSPAWN_PATH_MAX 4000

/* The row with this key, if the table has it with this value. ABSENT: it has not, and *row says nothing; the asker may have a
 * newer table, or an older one. REFUSED: nothing is done as that user. BROKEN: the table can't be read. */
enum result judge_row(const struct users_table *t, const struct user_bounds *bounds, struct bytes key,
    struct bytes value, struct user_row *row, struct why *why);

/* Whether a Maildir is a relative path. */
enum result judge_maildir(struct bytes path, struct why *why);
