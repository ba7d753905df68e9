/* Reading a Maildir.
 * Trusts its user, whose rights the process has; not that anything stays as it was.
 * Never follows a symbolic link, never opens what is not a regular file, never removes a name that was not shown. */
#include "mail/maildir_view.h"

#include "sys/beneath.h"
#include "sys/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES_MAX ((size_t)256 << 20)
#define NAME_LEN_MAX 255
#define INFO ":2," /* behind the unique part of a name in cur */

static const char *const places[] = { [MAILDIR_CUR] = "cur", [MAILDIR_NEW] = "new" };

struct bytes
maildir_view_unique(const struct maildir_view *v, uint32_t i)
{
	const struct maildir_message *m = &v->messages[i];

	return bytes_of(v->names.at + m->name_at, m->unique_len);
}

static const char *
name_of(const struct maildir_view *v, const struct maildir_message *m)
{
	return (const char *)v->names.at + m->name_at;
}

/* ---- ids ---- */

static bool
is_uid(struct bytes name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.at[i] < 0x21 || name.at[i] > 0x7e)
			return false;
	return name.len >= 1 && name.len <= MAILDIR_UID_MAX;
}

static uint64_t
hash(struct bytes what, uint64_t seed)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) ^ seed;

	for (size_t i = 0; i < what.len; i++) {
		h = (h ^ what.at[i]) * UINT64_C(0x100000001b3);
		h ^= h >> 32;
	}
	return h;
}

struct bytes
maildir_view_uid(const struct maildir_view *v, uint32_t i, uint8_t room[MAILDIR_UID_MAX])
{
	struct bytes name = maildir_view_unique(v, i);
	struct buf b = buf_over(room, MAILDIR_UID_MAX);

	if (is_uid(name))
		return name;
	buf_format(&b, "%016llx%016llx", (unsigned long long)hash(name, 0),
	    (unsigned long long)hash(name, UINT64_C(0x9e3779b97f4a7c15)));
	return buf_bytes(&b);
}

/* ---- names ---- */

/* the order of delivery; of two with one name, which only a move in progress can make, that in cur first */
static int
compare(const void *a, const void *b, void *names)
{
	const struct maildir_message *x = a, *y = b;
	const uint8_t *at = names;
	int order;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	order = bytes_compare(bytes_of(at + x->name_at, x->unique_len), bytes_of(at + y->name_at, y->unique_len));
	return order != 0 ? order : (int)x->place - (int)y->place;
}

static uint64_t
time_in(struct bytes name)
{
	size_t n = 0;
	uint64_t at;

	while (n < name.len && ascii_is_digit(name.at[n]))
		n++;
	return n <= 19 && bytes_to_number(bytes_first(name, n), UINT64_MAX, &at) ? at : 0;
}

static enum result
add_name(struct maildir_view *v, enum maildir_place place, const char *name, struct why *why)
{
	struct bytes text = bytes_of_string(name);
	struct maildir_message *m;

	if (text.len > NAME_LEN_MAX)
		return OK;
	if (v->n == v->room) {
		uint32_t room = v->room == 0 ? 256 : v->room * 2;

		m = reallocarray(v->messages, room, sizeof *m);
		if (m == NULL)
			return why_set(why, EXHAUSTED, "no memory for %u messages", room);
		v->messages = m;
		v->room = room;
	}
	m = &v->messages[v->n];
	*m = (struct maildir_message){ .at = time_in(text),
		.octets = MAILDIR_UNMEASURED,
		.name_at = v->names.len,
		.name_len = (uint8_t)text.len,
		.unique_len = (uint8_t)bytes_find(text, ':'),
		.place = (uint8_t)place };
	buf_add(&v->names, bytes_of(name, text.len + 1));
	if (buf_result(&v->names) != OK)
		return why_set(why, EXHAUSTED, "no memory for the names of %u messages", v->n);
	v->n++;
	return OK;
}

static bool
is_file(const struct dirent *e, int dir_fd)
{
	struct stat st;

	if (e->d_name[0] == '.' || e->d_name[0] == ':')
		return false;
	if (e->d_type != DT_UNKNOWN)
		return e->d_type == DT_REG;
	return fstatat(dir_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

static enum result
read_place(struct maildir_view *v, enum maildir_place place, struct why *why)
{
	int fd = openat(v->place_fd[place], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	enum result r = OK;
	struct dirent *e;

	if (dir == NULL) {
		r = why_errno(why, result_of_errno(errno), "reading %s", places[place]);
		fd_close(&fd);
		return r;
	}
	errno = 0;
	while (r == OK && v->n < MAILDIR_VIEW_MAX && (e = readdir(dir)) != NULL)
		if (is_file(e, v->place_fd[place]))
			r = add_name(v, place, e->d_name, why);
	if (r == OK && errno != 0 && v->n < MAILDIR_VIEW_MAX)
		r = why_errno(why, result_of_errno(errno), "reading %s", places[place]);
	(void)closedir(dir);
	return r;
}

static void
drop_twins(struct maildir_view *v)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < v->n; i++)
		if (kept == 0 || !bytes_equal(maildir_view_unique(v, kept - 1), maildir_view_unique(v, i)))
			v->messages[kept++] = v->messages[i];
	v->n = kept;
}

/* new before cur: what is moved between the two readings is seen twice, not missed */
static enum result
read_names(struct maildir_view *v, struct why *why)
{
	enum result r = read_place(v, MAILDIR_NEW, why);

	if (r == OK)
		r = read_place(v, MAILDIR_CUR, why);
	if (r != OK)
		return r;
	if (v->n > 0)
		qsort_r(v->messages, v->n, sizeof *v->messages, compare, v->names.at);
	drop_twins(v);
	return OK;
}

/* ---- opening ---- */

static enum result
open_part(int top_fd, const char *name, int *fd, struct why *why)
{
	enum result r = beneath_open(top_fd, name, BENEATH_NO_LINKS, fd, NULL);

	if (r == ABSENT && (r = beneath_make(top_fd, name, why)) != OK)
		return r;
	return *fd >= 0 ? OK : beneath_open(top_fd, name, BENEATH_NO_LINKS, fd, why);
}

void
maildir_view_none(struct maildir_view *v)
{
	*v = (struct maildir_view){ .top_fd = -1, .place_fd = { -1, -1 }, .tmp_fd = -1 };
}

enum result
maildir_view_open(struct maildir_view *v, struct why *why)
{
	enum result r;

	maildir_view_none(v);
	v->names = buf_growing(NAMES_MAX);
	v->top_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = v->top_fd >= 0 ? OK : why_errno(why, result_of_errno(errno), "opening the Maildir");
	if (r == OK && (r = open_part(v->top_fd, "tmp", &v->tmp_fd, why)) == OK &&
	    (r = open_part(v->top_fd, "new", &v->place_fd[MAILDIR_NEW], why)) == OK &&
	    (r = open_part(v->top_fd, "cur", &v->place_fd[MAILDIR_CUR], why)) == OK)
		r = read_names(v, why);
	if (r != OK)
		maildir_view_close(v);
	return r;
}

static void
drop_names(struct maildir_view *v)
{
	free(v->messages);
	v->messages = NULL;
	v->n = v->room = 0;
	buf_free(&v->names);
}

void
maildir_view_close(struct maildir_view *v)
{
	drop_names(v);
	fd_close(&v->top_fd);
	fd_close(&v->tmp_fd);
	fd_close(&v->place_fd[MAILDIR_CUR]);
	fd_close(&v->place_fd[MAILDIR_NEW]);
}

/* ---- what has been moved meanwhile ---- */

/* takes the names that messages have now; who is in both goes on under the new one */
static void
follow(struct maildir_view *v, struct maildir_view *now)
{
	uint32_t k = 0;

	for (uint32_t i = 0; i < v->n; i++) {
		struct maildir_message *m = &v->messages[i];
		struct bytes unique = maildir_view_unique(v, i);
		int order = -1;

		for (; k < now->n; k++) {
			const struct maildir_message *other = &now->messages[k];

			order = other->at != m->at ? (other->at < m->at ? -1 : 1)
						   : bytes_compare(maildir_view_unique(now, k), unique);
			if (order >= 0)
				break;
		}
		m->gone = order != 0;
		if (m->gone)
			continue;
		m->name_at = now->messages[k].name_at;
		m->name_len = now->messages[k].name_len;
		m->place = now->messages[k].place;
	}
}

/* The names of those that are gone are needed for their ids: they move to the new names. */
static enum result
keep_lost_names(const struct maildir_view *v, struct maildir_view *now, const struct maildir_view *before)
{
	for (uint32_t i = 0; i < v->n; i++)
		if (v->messages[i].gone) {
			struct bytes name = bytes_of(
			    name_of(before, &before->messages[i]), before->messages[i].name_len);

			v->messages[i].name_at = now->names.len;
			buf_add(&now->names, name);
			buf_add_octet(&now->names, '\0');
		}
	return buf_result(&now->names);
}

static enum result
refresh(struct maildir_view *v, struct why *why)
{
	struct maildir_view now = { .top_fd = -1, .tmp_fd = -1 }, before;
	enum result r;

	now.place_fd[MAILDIR_CUR] = v->place_fd[MAILDIR_CUR];
	now.place_fd[MAILDIR_NEW] = v->place_fd[MAILDIR_NEW];
	now.names = buf_growing(NAMES_MAX);
	before = *v;
	before.messages = reallocarray(NULL, v->n, sizeof *v->messages);
	r = before.messages == NULL ? why_set(why, EXHAUSTED, "no memory") : read_names(&now, why);
	if (r == OK) {
		memcpy(before.messages, v->messages, v->n * sizeof *v->messages);
		follow(v, &now);
		r = keep_lost_names(v, &now, &before);
		if (r == OK) {
			buf_free(&v->names);
			v->names = now.names;
			now.names = buf_growing(0);
		} else
			memcpy(v->messages, before.messages, v->n * sizeof *v->messages);
	}
	free(before.messages);
	drop_names(&now);
	return r;
}

/* ---- messages ---- */

static enum result
open_once(struct maildir_view *v, uint32_t i, int *fd, struct why *why)
{
	struct maildir_message *m = &v->messages[i];
	struct stat st;

	if (m->gone)
		return why_set(why, ABSENT, "the message is not there any more");
	*fd = openat(v->place_fd[m->place], name_of(v, m), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (*fd < 0 && errno == ENOENT)
		return ABSENT;
	if (*fd < 0)
		return why_errno(why, errno == ELOOP ? REFUSED : result_of_errno(errno), "opening the message");
	if (fstat(*fd, &st) == 0 && S_ISREG(st.st_mode))
		return OK;
	fd_close(fd);
	return why_set(why, REFUSED, "the message is no file");
}

enum result
maildir_view_read(struct maildir_view *v, uint32_t i, int *fd, struct why *why)
{
	enum result r = open_once(v, i, fd, why);

	if (r != ABSENT || v->messages[i].gone)
		return r;
	if ((r = refresh(v, why)) != OK)
		return r;
	r = open_once(v, i, fd, why);
	return r == ABSENT ? why_set(why, ABSENT, "the message is not there any more") : r;
}

static bool
remove_once(const struct maildir_view *v, uint32_t i)
{
	const struct maildir_message *m = &v->messages[i];

	return m->gone || unlinkat(v->place_fd[m->place], name_of(v, m), 0) == 0;
}

enum result
maildir_view_remove(struct maildir_view *v, uint32_t i, struct why *why)
{
	enum result r;

	if (remove_once(v, i))
		return OK;
	if (errno != ENOENT)
		return why_errno(why, result_of_errno(errno), "removing a message");
	if ((r = refresh(v, why)) != OK)
		return r;
	if (remove_once(v, i) || errno == ENOENT)
		return OK;
	return why_errno(why, result_of_errno(errno), "removing a message");
}

enum result
maildir_view_settle(struct maildir_view *v, uint32_t i, struct why *why)
{
	struct maildir_message *m = &v->messages[i];
	char name[NAME_LEN_MAX + sizeof INFO];

	if (m->gone || m->place != MAILDIR_NEW)
		return OK;
	(void)snprintf(name, sizeof name, "%.*s" INFO, (int)m->unique_len, name_of(v, m));
	if (renameat2(v->place_fd[MAILDIR_NEW], name_of(v, m), v->place_fd[MAILDIR_CUR], name, RENAME_NOREPLACE) == 0 ||
	    errno == ENOENT)
		return OK;
	return why_errno(why, result_of_errno(errno), "moving a message from new to cur");
}
