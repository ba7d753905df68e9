/* The key directory.
 * Trusts what it wrote itself; the directory belongs to keyring's and keyload's user alone.
 * Never changes a file in place: a name has the old content or the new. */
#include "keyring/keep.h"

#include "base/le.h"
#include "sys/clock.h"
#include "sys/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORD_HEAD (SPKI_LEN + 8) /* and the chain */
#define NEW_NAME "new"

static enum result
write_file(const char *path, struct bytes a, struct bytes b, struct why *why)
{
	int fd = open(NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0400);
	enum result r;

	if (fd < 0)
		return why_errno(why, result_of_errno(errno), "making a file in the key directory");
	if ((r = fd_write_all(fd, a)) == OK)
		r = fd_write_all(fd, b);
	(void)close(fd);
	if (r != OK || renameat(AT_FDCWD, NEW_NAME, AT_FDCWD, path) != 0) {
		r = why_errno(why, r == OK ? BROKEN : r, "writing to the key directory");
		(void)unlinkat(AT_FDCWD, NEW_NAME, 0);
	}
	return r;
}

enum result
keep_pair(struct bytes name, const struct pair *p, struct why *why)
{
	char key[KEY_NAME_LEN + 1], record[RECORD_NAME_LEN + 1];
	uint8_t head[RECORD_HEAD];
	enum result r;

	signer_key_name(p->spki, key);
	signer_record_name(name, record);
	memcpy(head, p->spki, SPKI_LEN);
	le64_put(head + SPKI_LEN, (uint64_t)p->not_after);
	/* the key first: a record never names one that is not there */
	if ((r = write_file(key, buf_bytes(&p->key), BYTES_NONE, why)) == OK)
		r = write_file(record, bytes_of(head, sizeof head), buf_bytes(&p->chain), why);
	return r;
}

static enum result
read_record(const char *path, uint8_t head[RECORD_HEAD], struct buf *chain)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	enum result r;
	uint8_t *room;
	size_t n;

	if (fd < 0)
		return ABSENT;
	r = fd_pread_all(fd, head, RECORD_HEAD, 0, &n);
	if (r == OK && n < RECORD_HEAD)
		r = MALFORMED;
	if (r == OK && chain != NULL) {
		if ((room = buf_room(chain, PAIR_FILE_MAX)) == NULL)
			r = EXHAUSTED;
		else if ((r = fd_pread_all(fd, room, PAIR_FILE_MAX, RECORD_HEAD, &n)) == OK)
			chain->len += n;
	}
	(void)close(fd);
	return r;
}

enum result
keep_find(struct bytes name, struct buf *chain, uint8_t spki[SPKI_LEN], int64_t *not_after)
{
	char key[KEY_NAME_LEN + 1], record[RECORD_NAME_LEN + 1];
	uint8_t head[RECORD_HEAD];
	struct stat st;
	enum result r;

	signer_record_name(name, record);
	if ((r = read_record(record, head, chain)) != OK)
		return r;
	signer_key_name(head, key);
	*not_after = (int64_t)le64_get(head + SPKI_LEN);
	memcpy(spki, head, SPKI_LEN);
	return stat(key, &st) == 0 && chain->len > 0 ? OK : ABSENT;
}

enum result
keep_chosen(const uint8_t spki[SPKI_LEN], struct why *why)
{
	char path[CHOSEN_NAME_LEN + 1];

	signer_chosen_name(spki, path);
	return write_file(path, BYTES_NONE, BYTES_NONE, why);
}

/* ---- texts ---- */

/* A record like those of pairs, which stay; the name of no file begins so. */
static void
text_name(struct bytes name, char record[RECORD_NAME_LEN + 1])
{
	uint8_t room[2048];
	struct buf whole = BUF_OVER(room);

	buf_add_string(&whole, "CAs and CRLs of ");
	buf_add(&whole, name);
	signer_record_name(buf_bytes(&whole), record);
}

enum result
keep_text(struct bytes name, struct bytes text, struct why *why)
{
	char record[RECORD_NAME_LEN + 1];

	text_name(name, record);
	return write_file(record, text, BYTES_NONE, why);
}

enum result
keep_find_text(struct bytes name, struct buf *text)
{
	char record[RECORD_NAME_LEN + 1];
	enum result r = ABSENT;
	uint8_t *room = NULL;
	struct stat st;
	size_t n = 0;
	int fd;

	text_name(name, record);
	if ((fd = open(record, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) < 0)
		return ABSENT;
	if (fstat(fd, &st) == 0 && st.st_size > 0 && (room = buf_room(text, (size_t)st.st_size)) != NULL)
		r = fd_pread_all(fd, room, (size_t)st.st_size, 0, &n);
	text->len += n;
	(void)close(fd);
	return r == OK && n > 0 ? OK : ABSENT;
}

/* ---- tidying ---- */

static void
refresh_key_of(const char *record_name)
{
	char key[KEY_NAME_LEN + 1], path[300];
	uint8_t head[RECORD_HEAD];

	(void)snprintf(path, sizeof path, "%s", record_name);
	if (read_record(path, head, NULL) != OK)
		return;
	signer_key_name(head, key);
	(void)utimensat(AT_FDCWD, key, NULL, AT_SYMLINK_NOFOLLOW);
}

enum kind { RECORD, CHOSEN, KEY };

static enum kind
kind_of(const char *name)
{
	return strncmp(name, RECORD_PREFIX, sizeof RECORD_PREFIX - 1) == 0 ? RECORD
	    : strncmp(name, CHOSEN_PREFIX, sizeof CHOSEN_PREFIX - 1) == 0  ? CHOSEN
									   : KEY;
}

static void
each_name(void (*act)(const char *name, uint64_t limit), uint64_t limit, enum kind kind)
{
	DIR *d = opendir(".");
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' && kind_of(e->d_name) == kind)
			act(e->d_name, limit);
	if (d != NULL)
		(void)closedir(d);
}

static void
refresh(const char *name, uint64_t limit)
{
	(void)limit;
	refresh_key_of(name);
}

static void
remove_old(const char *name, uint64_t limit)
{
	char path[300];
	struct stat st;

	(void)snprintf(path, sizeof path, "%s", name);
	if (strcmp(path, NEW_NAME) == 0 || (stat(path, &st) == 0 && (uint64_t)st.st_mtime < limit))
		(void)unlinkat(AT_FDCWD, path, 0);
}

void
keep_tidy(unsigned seconds)
{
	each_name(refresh, 0, RECORD);
	each_name(remove_old, clock_wall_s() - seconds, KEY);
}

void
keep_tidy_chosen(unsigned seconds)
{
	each_name(remove_old, clock_wall_s() - seconds, CHOSEN);
}
