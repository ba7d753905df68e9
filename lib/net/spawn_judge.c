/* The judgement of a request.
 * Trusts the table of users, which warden made, and the bounds; the asker for nothing but which row it means.
 * Never takes a uid, a gid or a home from the asker. */
#include "net/spawn_judge.h"

static bool
is_path(struct bytes path)
{
	return path.len > 0 && path.len <= LSPAWN_PATH_MAX && bytes_find(path, '\0') == path.len;
}

static enum result
may_become(const struct user_bounds *bounds, const struct user_row *row, struct why *why)
{
	enum user_refusal refusal = row->refusal;

	if (refusal == USER_SERVED)
		refusal = user_check(bounds, row->uid, row->gid, row->home);
	if (refusal != USER_SERVED)
		return why_set(why, REFUSED, "%s: uid %u, gid %u, home %.*s", user_refusal_text(refusal), row->uid,
		    row->gid, (int)row->home.len, (const char *)row->home.at);
	return is_path(row->home) ? OK : why_set(why, REFUSED, "the home of uid %u is too long a path", row->uid);
}

enum result
judge_row(const struct users_table *t, const struct user_bounds *bounds, struct bytes key, struct bytes value,
    struct user_row *row, struct why *why)
{
	struct bytes ours;
	enum result r = users_table_find(t, key, &ours);

	if (r == ABSENT || (r == OK && !bytes_equal(ours, value)))
		return why_set(why, ABSENT, "the table of users has no such row: it has changed just now");
	if (r != OK || !users_row_take(ours, row))
		return why_set(why, BROKEN, "the table of users can't be read");
	return may_become(bounds, row, why);
}

enum result
judge_maildir(struct bytes path, struct why *why)
{
	if (is_path(path) && path.at[0] != '/')
		return OK;
	return why_set(why, REFUSED, "the Maildir is no relative path");
}
