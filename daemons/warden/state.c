/* A warden's state as text, one thing a line, for the version of it that is executed next.
 * Trusts the version before, which is root's program as this one is; checks every line nevertheless.
 * Never reads what it did not get from there: a sealed memory file. */
#include "warden/warden.h"

#include "base/buf.h"
#include "config.h"
#include "sys/fd.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The first line. A form that an older version can't take gets another number; lines of unknown words are passed over. */
#define FORM "postern-warden 1"
#define STATE_MAX (256u << 10)

/* ---- saving ---- */

static void
put_generation(struct buf *b, const char *what, const struct generation *g)
{
	if (!generation_runs(g))
		return;
	buf_format(b, "%s %u\n", what, g->number);
	for (size_t i = 0; i < g->n; i++) {
		const struct member *m = &g->members[i];

		if (m->pid <= 0)
			continue;
		buf_format(b, "member %d %u %u %s\n", (int)m->pid, m->owner.uid, m->owner.gid, m->process);
		if (m->group > 0 && m->group != m->pid)
			buf_format(b, "group %d\n", (int)m->group);
	}
}

static void
put_state(struct buf *b, const struct warden *w)
{
	buf_format(b, FORM " %s\n", POSTERN_VERSION);
	buf_format(b, "lock %d\ngenerations %u\nreloads %u\n", w->lock_fd, w->n_generations, w->n_reloads);
	for (size_t i = 0; i < w->sockets.n_listening; i++)
		buf_format(b, "listening %d\n", w->sockets.listening[i].fd);
	for (size_t i = 0; i < SOCKETS_MAX; i++)
		if (w->sockets.doors[i].path[0] != '\0')
			buf_format(b, "door %d %s\n", w->sockets.doors[i].fd, w->sockets.doors[i].path);
	for (size_t i = 0; i < WARDEN_OLD_MAX; i++)
		put_generation(b, "old", &w->old[i]);
	put_generation(b, "current", &w->current);
	buf_add_string(b, "end\n");
}

enum result
warden_save(const struct warden *w, int *fd, struct why *why)
{
	struct buf text = buf_growing(STATE_MAX);
	enum result r;

	put_state(&text, w);
	*fd = text.failed ? -1 : memfd_create("warden", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd < 0)
		r = why_errno(why, EXHAUSTED, "making a memory file");
	else if ((r = fd_write_all(*fd, buf_bytes(&text))) != OK)
		r = why_errno(why, r, "writing to a memory file");
	else
		r = fd_seal(*fd, why);
	if (r != OK)
		fd_close(fd);
	buf_free(&text);
	return r;
}

static void
set_inherited(int fd, bool on)
{
	(void)fcntl(fd, F_SETFD, on ? 0 : FD_CLOEXEC);
}

void
warden_pass_on(const struct warden *w, bool on)
{
	set_inherited(w->lock_fd, on);
	for (size_t i = 0; i < w->sockets.n_listening; i++)
		set_inherited(w->sockets.listening[i].fd, on);
	for (size_t i = 0; i < SOCKETS_MAX; i++)
		if (w->sockets.doors[i].path[0] != '\0')
			set_inherited(w->sockets.doors[i].fd, on);
}

/* ---- loading ---- */

struct line {
	struct bytes rest;
	bool bad;
};

static uint64_t
number(struct line *l, uint64_t max)
{
	struct bytes word;
	uint64_t n = 0;

	l->bad |= !bytes_split(&l->rest, ' ', &word) || !bytes_to_number(word, max, &n);
	return n;
}

/* A descriptor that is open, and nobody else's. */
static int
descriptor(struct line *l)
{
	int fd = (int)number(l, 1 << 20);

	if (fd < 3 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
		l->bad = true;
	return fd;
}

static void
copy(struct line *l, char *into, size_t size)
{
	l->bad |= l->rest.len >= size;
	if (l->bad)
		return;
	memcpy(into, l->rest.at, l->rest.len);
	into[l->rest.len] = '\0';
}

static void
load_listening(struct warden *w, struct line *l)
{
	struct kept_socket *k = &w->sockets.listening[w->sockets.n_listening];

	if (w->sockets.n_listening == SOCKETS_MAX) {
		l->bad = true;
		return;
	}
	if (!l->bad && sockets_adopt(descriptor(l), k) && !l->bad)
		w->sockets.n_listening++;
	else
		l->bad = true;
}

static void
load_door(struct warden *w, struct line *l)
{
	struct kept_socket k = { .fd = descriptor(l) };

	copy(l, k.path, sizeof k.path);
	if (!l->bad)
		sockets_keep_door(&w->sockets, &w->in, &k);
}

/* The name of a process, perhaps one that this version does not have: kept as long as this program runs. Null: it is no name,
 * or there are too many. */
static const char *
kept_name(struct bytes name)
{
	static char names[4 * HOUSE_MEMBERS_MAX][32];

	for (size_t i = 0; i < nitems(names) && name.len > 0 && name.len < sizeof names[0]; i++) {
		if (names[i][0] == '\0')
			memcpy(names[i], name.at, name.len);
		if (bytes_equal(bytes_of_string(names[i]), name))
			return names[i];
	}
	return NULL;
}

static void
load_member(struct generation *g, struct line *l)
{
	struct member *m = &g->members[g->n];

	if (g->n == HOUSE_MEMBERS_MAX) {
		l->bad = true;
		return;
	}
	*m = (struct member){ .pid = (pid_t)number(l, INT32_MAX) };
	m->owner.uid = (uid_t)number(l, UINT32_MAX);
	m->owner.gid = (gid_t)number(l, UINT32_MAX);
	m->group = m->pid;
	m->process = kept_name(l->rest);
	l->bad |= m->process == NULL || m->pid < 2;
	g->n++;
}

/* Of the member before, if it is another than its own. */
static void
load_group(struct generation *g, struct line *l)
{
	pid_t group = (pid_t)number(l, INT32_MAX);

	if (g->n == 0 || group < 2)
		l->bad = true;
	else
		g->members[g->n - 1].group = group;
}

static struct generation *
load_old(struct warden *w, struct line *l)
{
	for (size_t i = 0; i < WARDEN_OLD_MAX; i++)
		if (w->old[i].n == 0) {
			w->old[i].number = (unsigned)number(l, UINT32_MAX);
			return &w->old[i];
		}
	l->bad = true;
	return &w->old[0];
}

static bool
is(struct bytes word, const char *name)
{
	return bytes_equal(word, bytes_of_string(name));
}

/* False: the state ends here, or is damaged. */
static bool
load_line(struct warden *w, struct generation **g, struct bytes text, bool *bad)
{
	struct line l = { text, false };
	struct bytes word;

	if (!bytes_split(&l.rest, ' ', &word) || is(word, "end"))
		return false;
	if (is(word, "lock"))
		w->lock_fd = descriptor(&l);
	else if (is(word, "generations"))
		w->n_generations = (unsigned)number(&l, UINT32_MAX);
	else if (is(word, "reloads"))
		w->n_reloads = (unsigned)number(&l, UINT32_MAX);
	else if (is(word, "listening"))
		load_listening(w, &l);
	else if (is(word, "door"))
		load_door(w, &l);
	else if (is(word, "old"))
		*g = load_old(w, &l);
	else if (is(word, "current")) {
		*g = &w->current;
		w->current.number = (unsigned)number(&l, UINT32_MAX);
	} else if (is(word, "member"))
		load_member(*g, &l);
	else if (is(word, "group"))
		load_group(*g, &l);
	*bad = l.bad;
	return !l.bad;
}

enum result
warden_load(struct warden *w, int fd, struct why *why)
{
	static uint8_t text[STATE_MAX];
	struct generation *g = &w->current;
	struct bytes rest, line = BYTES_NONE;
	bool bad = false;
	size_t n = 0;

	w->lock_fd = -1;
	if (!fd_is_sealed(fd) || fd_pread_all(fd, text, sizeof text, 0, &n) != OK)
		return why_set(why, MALFORMED, "descriptor %d is no warden's state", fd);
	rest = bytes_of(text, n);
	if (!bytes_split(&rest, '\n', &line) || !bytes_starts(line, bytes_of_string(FORM " ")))
		return why_set(why, MALFORMED, "the state of another version: \"%.*s\", expected \"" FORM "\"",
		    (int)(line.len < 64 ? line.len : 64), (const char *)line.at);
	while (bytes_split(&rest, '\n', &line) && load_line(w, &g, line, &bad))
		;
	if (bad || !is(line, "end") || w->lock_fd < 0)
		return why_set(why, MALFORMED, "the state has a damaged line: \"%.*s\"",
		    (int)(line.len < 64 ? line.len : 64), (const char *)line.at);
	return OK;
}
