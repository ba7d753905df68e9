/* Finding messages at a start.
 * Trusts no name and no file: what is no id is left alone, what does not decode is set aside, and both are logged.
 * Never keeps more than one directory's buffer and one message in memory, never holds up new mail. */
#include "queue/scan.h"

#include "sys/fd.h"
#include "sys/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum result
scan_note(struct scan *s, const struct id *id, struct why *why)
{
	uint64_t number = id_number(id);
	size_t at = s->n_made;

	if (s->ended)
		return OK;
	if (s->n_made == s->made_size) {
		size_t size = s->made_size == 0 ? 1024 : s->made_size * 2;
		uint64_t *made = reallocarray(s->made, size, sizeof *made);

		if (made == NULL)
			return why_set(why, EXHAUSTED, "no memory for the list of new messages");
		s->made = made;
		s->made_size = size;
	}
	/* nearly in order: commits overtake each other a little */
	for (; at > 0 && s->made[at - 1] > number; at--)
		s->made[at] = s->made[at - 1];
	s->made[at] = number;
	s->n_made++;
	return OK;
}

static int
compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static bool
was_made(const struct scan *s, const struct id *id)
{
	uint64_t number = id_number(id);

	return s->n_made > 0 && bsearch(&number, s->made, s->n_made, sizeof number, compare) != NULL;
}

static void
strange(struct scan *s, const char *name, const char *text)
{
	struct log_line l;

	if (s->n_strange++ > 100)
		return; /* said often enough */
	log_begin(&l, SEVERITY_WARNING, "left-alone");
	log_text(&l, "name", name);
	log_text(&l, "why", text);
	log_end(&l);
}

static enum result
check(const struct scan *s, int fd, const struct id *id, struct store_message *m, struct why *why)
{
	struct stat st;
	enum result r;

	if (fstat(fd, &st) != 0)
		return why_errno(why, BROKEN, "looking at a queue file");
	if (!S_ISREG(st.st_mode))
		return REFUSED;
	if (st.st_nlink != 1 || st.st_uid != s->place->uid)
		return why_set(
		    why, MALFORMED, "it belongs to uid %u and has %u names", st.st_uid, (unsigned)st.st_nlink);
	if ((r = store_read(fd, m, why)) != OK)
		return r;
	if (memcmp(m->id.text, id->text, ID_LEN) != 0)
		return why_set(why, MALFORMED, "the id in its head is %s", m->id.text);
	return OK;
}

static void
cant_read(struct scan *s, const struct id *id, enum result r, const struct why *why)
{
	struct log_line l;

	(void)s;
	log_begin(&l, SEVERITY_ERROR, "not-read");
	log_text(&l, "msg", id->text);
	log_text(&l, "result", result_meaning(r)->name);
	log_text(&l, "why", why->text);
	log_end(&l);
}

static void
look_at(struct scan *s, const struct id *id)
{
	struct why why = WHY_NONE;
	struct store_message m = { 0 };
	enum result r;
	int fd;

	if (was_made(s, id))
		return;
	r = place_find(s->place, id, O_RDONLY, &fd, &why);
	if (r == ABSENT)
		return;
	if (r != OK) {
		cant_read(s, id, r, &why);
		return;
	}
	r = check(s, fd, id, &m, &why);
	if (r == OK && !m.held) {
		s->feed->credit--;
		s->n_found++;
		feed_announce(s->feed, id, false, fd);
	} else if (r == MALFORMED)
		place_set_aside(s->place, id, &why);
	else if (r == REFUSED)
		strange(s, id->text, "it is no plain file");
	else if (r != OK)
		cant_read(s, id, r, &why);
	store_message_free(&m);
	(void)close(fd);
}

static void
look_at_name(struct scan *s, const struct dirent *e)
{
	struct id id;

	if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
		return;
	if (e->d_type != DT_REG && e->d_type != DT_UNKNOWN)
		strange(s, e->d_name, "it is no plain file");
	else if (!id_from_bytes(bytes_of_string(e->d_name), &id) || store_split_of(&id) != s->next - 1)
		strange(s, e->d_name, "it is no id, or in the wrong directory");
	else
		look_at(s, &id);
}

static void
unreadable(const struct scan *s)
{
	struct why why = WHY_NONE;
	enum result r = why_errno(&why, BROKEN, "reading directory %c of the queue", store_split_digit(s->next - 1));

	log_why("not-read", r, &why);
}

static bool
open_next(struct scan *s)
{
	int fd;

	while (s->directory == NULL && s->next < STORE_N_SPLITS) {
		fd = openat(s->place->splits[s->next++], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && (s->directory = fdopendir(fd)) == NULL)
			fd_close(&fd);
		if (s->directory == NULL)
			unreadable(s);
	}
	return s->directory != NULL;
}

static void
end(struct scan *s)
{
	struct log_line l;

	s->ended = true;
	free(s->made);
	s->made = NULL;
	s->n_made = s->made_size = 0;
	log_begin(&l, SEVERITY_INFO, "start-read");
	log_number(&l, "messages", s->n_found);
	log_number(&l, "strange", s->n_strange);
	log_end(&l);
}

bool
scan_step(struct scan *s, unsigned n)
{
	struct dirent *e;

	for (; n > 0 && !s->ended; n--) {
		if (!feed_may_announce(s->feed))
			return false;
		if (!open_next(s)) {
			end(s);
			break;
		}
		errno = 0;
		if ((e = readdir(s->directory)) != NULL) {
			look_at_name(s, e);
			continue;
		}
		if (errno != 0)
			unreadable(s);
		(void)closedir(s->directory);
		s->directory = NULL;
	}
	return !s->ended;
}
