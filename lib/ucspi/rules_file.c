/* Rules for one connection.
 * Trusts root's cdb to be meant well; its records are checked.
 * Never keeps it open: a rule that has changed holds from the next connection on. */
#include "ucspi/rules_file.h"

#include "base/le.h"

#include <cdb.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum result
rules_of_cdb(const void *ctx, struct bytes key, struct bytes *data)
{
	struct cdb db = *(const struct cdb *)ctx;
	int found = cdb_find(&db, key.at == NULL ? (const uint8_t *)"" : key.at, (unsigned)key.len);
	const void *at;

	if (found == 0)
		return ABSENT;
	if (found < 0 || (at = cdb_getdata(&db)) == NULL)
		return BROKEN;
	*data = bytes_of(at, cdb_datalen(&db));
	return rules_data_is_valid(*data) ? OK : BROKEN;
}

static enum result
open_file(const char *path, struct cdb *db, struct why *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	enum result r = OK;

	if (fd < 0)
		return why_errno(why, result_of_errno(errno), "opening %s", path);
	if (cdb_init(db, fd) != 0)
		r = why_set(why, BROKEN, "%s is no cdb", path);
	(void)close(fd); /* it is mapped */
	return r;
}

enum result
rules_file_find(const char *path, bool absent_is_fine, const struct rules_query *q, struct buf *room, struct why *why)
{
	struct bytes data = BYTES_NONE;
	struct cdb db;
	enum result r = open_file(path, &db, why);

	if (r == ABSENT)
		return absent_is_fine ? ABSENT : why_set(why, BROKEN, "%s is not there", path);
	if (r != OK)
		return r;
	r = rules_find(rules_of_cdb, &db, q, &data, NULL);
	if (r == OK)
		buf_add(room, data);
	cdb_free(&db);
	if (r == OK && room->failed)
		r = EXHAUSTED;
	return r == OK || r == ABSENT ? r : why_set(why, r, "%s is damaged", path);
}

enum result
rules_file_all(const char *path, struct buf *records, struct why *why)
{
	uint8_t lengths[8];
	unsigned at;
	struct cdb db;
	enum result r = open_file(path, &db, why);
	int more = 0;

	if (r != OK)
		return r;
	cdb_seqinit(&at, &db);
	while (!records->failed && (more = cdb_seqnext(&at, &db)) > 0) {
		struct bytes data = bytes_of(cdb_getdata(&db), cdb_datalen(&db));

		if (!rules_data_is_valid(data))
			continue;
		le32_put(lengths, cdb_keylen(&db));
		le32_put(lengths + 4, (uint32_t)data.len);
		buf_add(records, bytes_of(lengths, sizeof lengths));
		buf_add(records, bytes_of(cdb_getkey(&db), cdb_keylen(&db)));
		buf_add(records, data);
	}
	cdb_free(&db);
	return more < 0 || records->failed ? why_set(why, BROKEN, "%s is damaged", path) : OK;
}
