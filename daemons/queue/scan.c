/* Finding messages at a start.
 * Trusts no name and no file: what is no id is left alone, what does not decode is set aside, and both are logged.
 * Never keeps more than one directory's buffer and one message in memory, never holds up new mail. */
#include "queue/scan.h"

#include "sys/clock.h"
#include "sys/fd.h"
#include "sys/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOON_S 300 /* `send` may take for due what we take for nearly due */
#define PAUSE_MS 1000
#define FAR_S 100000000 /* and a due time further off for none */

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
	bool again = r == EXHAUSTED && late_add(s->late, id);
	struct log_line l;

	log_begin(&l, SEVERITY_ERROR, "not-read");
	log_text(&l, "msg", id->text);
	log_text(&l, "result", result_meaning(r)->name);
	log_text(&l, "why", why->text);
	log_text(&l, "again", again ? "soon" : "at the next start");
	log_end(&l);
}

/* `send` asks again for what is not due; then it is proved. */
static bool
needs_proof(const struct scan *s, const struct store_message *m)
{
	uint64_t now_s = clock_wall_s();

	return past_has(s->past, &m->id) && !proofs_know(s->proofs, &m->id) &&
	    (m->due_at <= now_s + SOON_S || m->due_at - now_s > FAR_S);
}

/* The descriptor goes to the proof, or is closed. */
static void
announce(struct scan *s, const struct store_message *m, int *fd)
{
	struct proof proof = { .id = m->id, .fd = *fd };

	s->feed->credit--;
	if (!needs_proof(s, m)) {
		s->n_found++;
		feed_announce(s->feed, &m->id, false, *fd);
		return;
	}
	*fd = -1;
	s->n_proving++;
	proofs_begin(s->proofs, &proof);
}

void
scan_proved(struct scan *s, struct proof *proof)
{
	s->n_proving--;
	if (proof->r == OK && place_is_there(proof->fd) && !store_is_held(proof->fd)) {
		s->n_found++;
		feed_announce(s->feed, &proof->id, false, proof->fd);
		return;
	}
	s->feed->credit++;
	if (proof->r == MALFORMED)
		past_set_aside(s->past, &proof->id, proof->fd, &proof->why);
	else if (proof->r != OK)
		cant_read(s, &proof->id, proof->r, &proof->why);
}

void
scan_look_at(struct scan *s, const struct id *id)
{
	struct why why = WHY_NONE;
	struct store_message m = { 0 };
	enum result r;
	int fd;

	r = place_find(s->place, id, O_RDONLY, &fd, &why);
	if (r == ABSENT)
		return;
	if (r != OK) {
		cant_read(s, id, r, &why);
		return;
	}
	r = check(s, fd, id, &m, &why);
	if (r == OK && !m.held)
		announce(s, &m, &fd);
	else if (r == MALFORMED)
		past_set_aside(s->past, id, fd, &why);
	else if (r == REFUSED)
		strange(s, id->text, "it is no plain file");
	else if (r != OK)
		cant_read(s, id, r, &why);
	store_message_free(&m);
	fd_close(&fd);
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
	else if (past_has(s->past, &id)) { /* others have been announced when they were flushed */
		past_found(s->past, &id);
		scan_look_at(s, &id);
	}
}

static enum result
unreadable(const struct scan *s)
{
	struct why why = WHY_NONE;
	enum result r = result_of_errno(errno);

	(void)why_errno(&why, r, "reading directory %c of the queue", store_split_digit(s->next - 1));
	log_why("not-read", r, &why);
	return r;
}

static void
go_on(struct loop *loop, struct timer *t)
{
	(void)loop; /* its idle function takes the next step */
	(void)t;
}

/* A directory that can't be read is left alone, as a message is; but for want of descriptors or memory the scan waits, since
 * all the messages in it would be forgotten. */
static bool
may_skip(struct scan *s)
{
	if (unreadable(s) != EXHAUSTED)
		return true;
	s->next--;
	s->again.due = go_on;
	return loop_at(s->loop, &s->again, s->loop->now + PAUSE_MS) != OK;
}

/* OK: one is open; ABSENT: there are no more; AGAIN: later. */
static enum result
open_next(struct scan *s)
{
	int fd;

	while (s->directory == NULL && s->next < STORE_N_SPLITS) {
		fd = openat(s->place->splits[s->next++], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && (s->directory = fdopendir(fd)) == NULL)
			fd_close(&fd);
		if (s->directory == NULL && !may_skip(s))
			return AGAIN;
	}
	return s->directory != NULL ? OK : ABSENT;
}

static void
end(struct scan *s)
{
	struct log_line l;

	s->ended = true;
	past_is_read(s->past);
	log_begin(&l, SEVERITY_INFO, "start-read");
	log_number(&l, "messages", s->n_found);
	log_number(&l, "strange", s->n_strange);
	log_end(&l);
}

bool
scan_step(struct scan *s, unsigned n)
{
	struct dirent *e;
	enum result r;

	for (; n > 0 && !s->ended; n--) {
		if (s->again.slot != 0 || !feed_may_announce(s->feed) || !proofs_have_room(s->proofs))
			return false;
		r = open_next(s);
		if (r == AGAIN || (r == ABSENT && s->n_proving > 0))
			return false;
		if (r == ABSENT) {
			end(s);
			break;
		}
		errno = 0;
		if ((e = readdir(s->directory)) != NULL) {
			look_at_name(s, e);
			continue;
		}
		if (errno != 0)
			(void)unreadable(s);
		(void)closedir(s->directory);
		s->directory = NULL;
	}
	return !s->ended;
}
