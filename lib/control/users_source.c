/* Lines of users/assign, and compiled tables of any kind, as records.
 * Trusts root to mean well; not the lines of a file.
 * Never makes a record for uid 0. */
#include "base/le.h"
#include "control/control.h"
#include "control/decode.h"
#include "control/rules.h"
#include "control/senders.h"
#include "control/variables.h"
#include "sys/fd.h"

#include <cdb.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A record, as qmail-newu writes it. Key: ! and the local part in lower case, with a zero behind it if it is a whole
 * one and none if it is a prefix; empty: the set of last octets of all prefixes. Value: user, uid, gid, home, dash, ext,
 * a zero behind each. */
struct assignment {
	struct bytes local, user, uid, gid, home, dash, ext;
	bool prefix;
};

static bool
value_is_valid(struct bytes value)
{
	struct bytes fields[6];
	uint64_t n;

	for (size_t i = 0; i < nitems(fields); i++) {
		size_t end = bytes_find(value, '\0');

		if (end == value.len)
			return false;
		fields[i] = bytes_first(value, end);
		value = bytes_skip(value, end + 1);
	}
	return value.len == 0 && fields[0].len > 0 && bytes_to_number(fields[1], UINT32_MAX - 1, &n) && n != 0 &&
	    bytes_to_number(fields[2], UINT32_MAX - 1, &n) && fields[3].len > 0 && fields[3].at[0] == '/';
}

static void
put_assignment(struct decoder *d, const struct assignment *a)
{
	uint8_t key_room[CONTROL_KEY_MAX + 2], value_room[2048];
	struct buf key = BUF_OVER(key_room), value = BUF_OVER(value_room);
	const struct bytes fields[] = { a->user, a->uid, a->gid, a->home, a->dash, a->ext };

	buf_add_octet(&key, '!');
	buf_add(&key, a->local);
	if (!a->prefix)
		buf_add_octet(&key, '\0');
	for (size_t i = 0; i < nitems(fields); i++) {
		buf_add(&value, fields[i]);
		buf_add_octet(&value, '\0');
	}
	if (key.failed || value.failed || !value_is_valid(buf_bytes(&value))) {
		decoder_expected(d, "a uid other than 0, a gid and an absolute home");
		return;
	}
	decoder_put_lower(d, buf_bytes(&key), buf_bytes(&value));
}

void
decode_assign(struct decoder *d)
{
	struct bytes line, rest;
	struct assignment a;

	if (d->rest.len == 0)
		return; /* no file */
	while (decoder_line(d, &line)) {
		if (line.at[0] == '.') {
			if (decoder_line(d, &line))
				decoder_warn(
				    d, "is behind the line with a dot: it does not count, nor does what follows it");
			return;
		}
		rest = bytes_skip(line, 1);
		a.prefix = line.at[0] == '+';
		if ((line.at[0] != '=' && line.at[0] != '+') || !bytes_split(&rest, ':', &a.local) ||
		    !bytes_split(&rest, ':', &a.user) || !bytes_split(&rest, ':', &a.uid) ||
		    !bytes_split(&rest, ':', &a.gid) || !bytes_split(&rest, ':', &a.home) ||
		    !bytes_split(&rest, ':', &a.dash) || !bytes_split(&rest, ':', &a.ext) || rest.at == NULL)
			decoder_expected(
			    d, "=local:user:uid:gid:home:dash:ext: or +prefix:user:uid:gid:home:dash:pre:");
		else
			put_assignment(d, &a);
	}
	decoder_expected(d, "a line with a dot behind the last assignment");
}

/* The number of a record tells an administrator nothing; its key does. */
static bool
take_rule(struct decoder *d, struct bytes key, struct bytes data)
{
	unsigned record = d->line;
	struct why why = WHY_NONE;

	if (!rules_data_is_valid(data))
		return false;
	d->line = 0;
	decoder_tell_variables(d, data);
	if (variables_check(data, &why) != OK)
		decoder_expected(d, "another value in the rule %.*s: %s", (int)key.len, (const char *)key.at, why.text);
	d->line = record;
	decoder_put(d, key, data);
	return true;
}

/* One record of a compiled file. False: it is not what the item's records look like. */
static bool
take_record(struct decoder *d, struct bytes key, struct bytes data)
{
	if (key.len > CONTROL_KEY_MAX)
		return false;
	if (d->item == ITEM_RULES)
		return take_rule(d, key, data);
	if (d->item == ITEM_MAILFROMRULES) {
		decode_senders_record(d, key, data);
		return true;
	}
	if (d->item != ITEM_USERS_ASSIGN) {
		decoder_put_lower(d, key, BYTES_NONE);
		return true;
	}
	if (key.len == 0) /* the set of last octets: made anew with the table of users */
		return true;
	decoder_put_lower(d, key, data);
	return key.at[0] == '!' && value_is_valid(data);
}

static void
take_records(struct decoder *d, int fd)
{
	struct cdb db;
	unsigned at;
	int r;

	if (cdb_init(&db, fd) != 0) {
		decoder_expected(d, "a cdb");
		return;
	}
	cdb_seqinit(&at, &db);
	while ((r = cdb_seqnext(&at, &db)) > 0) {
		d->line++; /* the number of the record */
		if (!take_record(
			d, bytes_of(cdb_getkey(&db), cdb_keylen(&db)), bytes_of(cdb_getdata(&db), cdb_datalen(&db))))
			decoder_expected(d, "a record of %s", d->schema->file);
	}
	if (r < 0)
		decoder_expected(d, "a whole cdb");
	cdb_free(&db);
}

/* The image is a copy, so that the file may change or shrink meanwhile. */
void
decode_compiled(struct decoder *d, struct bytes image)
{
	int fd = memfd_create("compiled", MFD_CLOEXEC);

	if (fd < 0 || fd_write_all(fd, image) != OK)
		d->table->failed = true;
	else
		take_records(d, fd);
	fd_close(&fd);
}
