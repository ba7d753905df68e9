/* Reading the table of users.
 * Trusts warden, which made it; checks the form of each row nevertheless.
 * Never takes a table that can't be read for one without the user. */
#include "control/users_table.h"

#include "base/le.h"

enum result
users_table_find(const struct users_table *t, struct bytes key, struct bytes *value)
{
	struct cdb db = t->db; /* the search leaves its place in the struct */
	const void *at;
	int found;

	if (!t->is_open)
		return BROKEN;
	found = cdb_find(&db, key.at, (unsigned)key.len);
	if (found == 0)
		return ABSENT;
	if (found < 0 || (at = cdb_getdata(&db)) == NULL)
		return BROKEN;
	*value = bytes_of(at, cdb_datalen(&db));
	return OK;
}

enum result
users_table_open(struct users_table *t, int fd, struct why *why)
{
	struct bytes version = BYTES_NONE;

	*t = (struct users_table){ 0 };
	if (cdb_init(&t->db, fd) != 0)
		return why_errno(why, BROKEN, "mapping the table of users");
	t->is_open = true;
	if (users_table_find(t, BYTES(USERS_HEAD), &version) == OK && bytes_equal(version, BYTES(USERS_VERSION)))
		return OK;
	users_table_close(t);
	return why_set(why, MALFORMED, "the table of users was not made for this version");
}

void
users_table_close(struct users_table *t)
{
	if (t->is_open)
		cdb_free(&t->db);
	t->is_open = false;
}

bool
users_row_take(struct bytes value, struct user_row *row)
{
	struct bytes fields[7];
	uint64_t uid, gid, refusal;

	for (size_t i = 0; i < nitems(fields); i++) {
		size_t end = bytes_find(value, '\0');

		if (end == value.len)
			return false;
		fields[i] = bytes_first(value, end);
		value = bytes_skip(value, end + 1);
	}
	if (value.len > 0 || !bytes_to_number(fields[1], UINT32_MAX - 1, &uid) ||
	    !bytes_to_number(fields[2], UINT32_MAX - 1, &gid) ||
	    !bytes_to_number(fields[6], USER_N_REFUSALS - 1, &refusal))
		return false;
	*row = (struct user_row){ .uid = (uint32_t)uid,
		.gid = (uint32_t)gid,
		.name = fields[0],
		.home = fields[3],
		.dash = fields[4],
		.extension = fields[5],
		.refusal = (enum user_refusal)refusal };
	return true;
}

bool
users_next_missing(struct bytes *homes, uint32_t *uid, struct bytes *home)
{
	struct bytes rest = bytes_skip(*homes, 4);
	size_t end = bytes_find(rest, '\0');

	if (homes->len <= 4 || end == rest.len)
		return false;
	*uid = le32_get(homes->at);
	*home = bytes_first(rest, end);
	*homes = bytes_skip(rest, end + 1);
	return true;
}
