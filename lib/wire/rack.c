/* The rack of public certificates.
 * Trusts a sealed descriptor's maker for its form, and checks the version.
 * Never holds a key: there is no record for one. */
#include "wire/rack.h"

#include "sys/fd.h"
#include "wire/wire.h"

#include <string.h>

static enum result
find(const struct rack *s, char kind, struct bytes name, struct bytes *value)
{
	uint8_t room[RACK_NAME_MAX + 1];
	struct buf key = BUF_OVER(room);
	struct cdb db = s->db;
	int found;

	buf_add_octet(&key, (uint8_t)kind);
	buf_add(&key, name);
	if (key.failed)
		return ABSENT;
	found = cdb_find(&db, key.at, (unsigned)key.len);
	if (found < 0)
		return BROKEN;
	if (found == 0)
		return ABSENT;
	*value = bytes_of(cdb_getdata(&db), cdb_datalen(&db));
	return value->at == NULL ? BROKEN : OK;
}

enum result
rack_open(struct rack *s, int fd, struct why *why)
{
	struct bytes version;

	*s = RACK_NONE;
	if (cdb_init(&s->db, fd) != 0)
		return why_set(why, BROKEN, "the certificates can't be mapped");
	s->fd = fd;
	if (find(s, 'v', BYTES_NONE, &version) == OK && bytes_equal(version, BYTES(RACK_VERSION)))
		return OK;
	rack_close(s);
	return why_set(why, MALFORMED, "the certificates were sealed by another version");
}

void
rack_close(struct rack *s)
{
	if (s->fd >= 0)
		cdb_free(&s->db);
	*s = RACK_NONE;
}

enum result
rack_find_pair(const struct rack *s, struct bytes file, struct bytes *ocsp, struct bytes *chain)
{
	enum result r = find(s, 'p', file, chain);

	return r == OK && !wire_take(chain, ocsp) ? BROKEN : r;
}

enum result
rack_find_key(const struct rack *s, struct bytes file, struct bytes *spki)
{
	enum result r = find(s, 's', file, spki);

	return r == OK && spki->len != RACK_KEY_LEN ? BROKEN : r;
}

enum result
rack_find_file(const struct rack *s, struct bytes file, struct bytes *text)
{
	return find(s, 'f', file, text);
}

enum result
rack_find_name(const struct rack *s, struct bytes name, struct bytes *files)
{
	uint8_t lower[254];
	struct buf b = BUF_OVER(lower);
	size_t dot = bytes_find(name, '.');
	enum result r;

	if (name.len == 0 || name.len > 253)
		return ABSENT;
	for (size_t i = 0; i < name.len; i++)
		buf_add_octet(&b, ascii_lower(name.at[i]));
	r = find(s, 'n', buf_bytes(&b), files);
	if (r != ABSENT || dot == 0 || dot >= name.len - 1)
		return r;
	lower[dot - 1] = '*';
	return find(s, 'n', bytes_skip(buf_bytes(&b), dot - 1), files);
}

/* ---- making ---- */

enum result
rack_begin(struct rack_maker *m, int fd, struct why *why)
{
	m->fd = fd;
	if (cdb_make_start(&m->make, fd) != 0 || rack_put(m, 'v', BYTES_NONE, BYTES(RACK_VERSION)) != OK)
		return why_set(why, EXHAUSTED, "no memory for certificates");
	return OK;
}

enum result
rack_put(struct rack_maker *m, char kind, struct bytes key, struct bytes value)
{
	uint8_t room[RACK_NAME_MAX + 1];
	struct buf whole = BUF_OVER(room);

	buf_add_octet(&whole, (uint8_t)kind);
	buf_add(&whole, key);
	if (whole.failed || cdb_make_add(&m->make, whole.at, (unsigned)whole.len, value.at, (unsigned)value.len) != 0)
		return EXHAUSTED;
	return OK;
}

enum result
rack_finish(struct rack_maker *m, struct why *why)
{
	if (cdb_make_finish(&m->make) != 0)
		return why_set(why, EXHAUSTED, "no memory for certificates");
	return fd_seal(m->fd, why);
}
