/* Writing the sealed configuration of one process.
 * Trusts the decoded items; they were checked.
 * Never puts an item in that the process may not read. */
#include "base/le.h"
#include "control/format.h"
#include "control/source.h"
#include "sys/fd.h"

#include <cdb.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KEY_ROOM 2048

static int
put(struct cdb_make *made, struct bytes before, struct bytes key, struct bytes data)
{
	uint8_t room[KEY_ROOM];
	struct buf whole = BUF_OVER(room);

	buf_add(&whole, before);
	buf_add(&whole, key);
	return whole.failed
	    ? -1
	    : cdb_make_add(made, room, (unsigned)whole.len, data.at == NULL ? room : data.at, (unsigned)data.len);
}

static int
put_head(struct cdb_make *made, unsigned reader)
{
	uint8_t head[sizeof CONTROL_MAGIC + 8];

	memcpy(head, CONTROL_MAGIC, sizeof CONTROL_MAGIC);
	le32_put(head + sizeof CONTROL_MAGIC, reader);
	le32_put(head + sizeof CONTROL_MAGIC + 4, control_fingerprint(reader));
	return put(made, BYTES(CONTROL_HEAD_KEY), BYTES_NONE, bytes_of(head, sizeof head));
}

static int
put_item(struct cdb_make *made, enum control_item item, const struct control_data *data, bool has_tables)
{
	const uint8_t value_key[2] = { (uint8_t)item, CONTROL_VALUE }, table_key[2] = { (uint8_t)item, CONTROL_TABLE };
	struct bytes at = buf_bytes(&data->table);
	bool is_secret = control_schema[item].kind ==
	    KIND_DOMAINCERTS; /* passphrases of keys: warden reads them as text */

	if (put(made, bytes_of(value_key, 2), BYTES_NONE, is_secret ? BYTES_NONE : buf_bytes(&data->value)) != 0)
		return -1;
	while (at.len > 0 && has_tables && control_schema[item].kind != KIND_ASSIGN) { /* in the table of users */
		size_t key_len = le32_get(at.at), data_len = le32_get(at.at + 4);
		struct bytes key = bytes_first(bytes_skip(at, 8), key_len);

		at = bytes_skip(at, 8 + key_len);
		if (put(made, bytes_of(table_key, 2), key, bytes_first(at, data_len)) != 0)
			return -1;
		at = bytes_skip(at, data_len);
	}
	return 0;
}

static enum result
fill(const struct control_source *s, unsigned reader, int fd, struct why *why)
{
	struct cdb_make made;
	int failed;

	if (cdb_make_start(&made, fd) != 0)
		return why_errno(why, EXHAUSTED, "making the configuration");
	failed = put_head(&made, reader);
	for (unsigned i = 0; failed == 0 && i < N_CONTROL_ITEMS; i++)
		if (control_schema[i].readers & reader)
			failed = put_item(&made, (enum control_item)i, &s->items[i],
			    reader != BY_AUTHRUN); /* of recipients it needs the programs, not the addresses */
	if (cdb_make_finish(&made) != 0 || failed != 0)
		return why_errno(why, EXHAUSTED, "filling the configuration");
	return OK;
}

enum result
control_seal(const struct control_source *s, const char *process, int *fd, struct why *why)
{
	unsigned reader = control_reader_of(process);
	int made;
	enum result r;

	if (reader == 0)
		return why_set(why, BROKEN, "%s reads no control item", process);
	made = memfd_create("control", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (made < 0)
		return why_errno(why, EXHAUSTED, "making a memory file");
	if ((r = fill(s, reader, made, why)) != OK || (r = fd_seal(made, why)) != OK ||
	    (r = fd_reopen_read_only(&made, why)) != OK)
		fd_close(&made);
	else
		*fd = made;
	return r;
}
