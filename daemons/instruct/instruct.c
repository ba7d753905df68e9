/* From an address to the instructions of the file that counts for it.
 * Trusts the kernel for what is a file; the file may change, grow or vanish at any moment, and its name is partly a stranger's.
 * Never waits for a FIFO, never reads more than DOTQMAIL_FILE_MAX octets, never takes a file that can't be read for one that is
 * not there. */
#include "instruct/instruct.h"

#include "mail/dotqmail.h"
#include "sys/fd.h"
#include "sys/home.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* one more than is allowed, so that a file that is too long is seen */
static uint8_t text_room[DOTQMAIL_FILE_MAX + 1], items_room[SI_ITEMS_TAIL];

struct answering {
	struct channel *send;
	uint64_t ref;
	struct buf items;
	uint32_t n_here;
	struct si_answer answer;
	struct bytes rest; /* what DEFAULT is set to */
};

/* ---- opening ---- */

static bool
means_absent(int error)
{
	return error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG || error == ENXIO;
}

/* OK, and *fd is the caller's; ABSENT: there is no such file, or it is none. */
static enum result
open_one(struct buf *name, int *fd, struct stat *st, struct why *why)
{
	const char *path = buf_string(name);

	*fd = -1;
	if (path == NULL)
		return ABSENT; /* a name that no file can have */
	*fd = openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (*fd < 0)
		return means_absent(errno) ? ABSENT : why_errno(why, AGAIN, "opening %s", path);
	if (fstat(*fd, st) == 0 && S_ISREG(st->st_mode))
		return OK;
	fd_close(fd);
	return ABSENT;
}

static enum result
open_file(struct dotqmail_search *s, struct bytes *rest, int *fd, struct stat *st, struct why *why)
{
	uint8_t room[DOTQMAIL_NAME_MAX + 1];
	struct buf name = BUF_OVER(room);
	enum result r = ABSENT;

	while (r == ABSENT && dotqmail_next(s, &name, rest))
		r = open_one(&name, fd, st, why);
	return r;
}

static enum result
is_there(struct bytes dash, struct bytes extension, const char *more, struct why *why)
{
	uint8_t room[DOTQMAIL_NAME_MAX + 1];
	struct buf name = BUF_OVER(room);
	struct stat st;
	enum result r;
	int fd;

	dotqmail_name(&name, dash, extension, more);
	r = open_one(&name, &fd, &st, why);
	fd_close(&fd);
	return r;
}

/* ---- what it says ---- */

static enum result
flush_items(struct answering *a, struct why *why)
{
	struct si_items body = { a->n_here };
	enum result r;

	if (a->n_here == 0)
		return OK;
	r = channel_send(a->send, SI_ITEMS, a->ref, &body, buf_bytes(&a->items), NULL, why);
	a->n_here = 0;
	buf_clear(&a->items);
	return r;
}

static enum result
take_item(void *ctx, const struct dotqmail_item *item, struct why *why)
{
	struct answering *a = ctx;
	uint8_t kind = (uint8_t)item->kind;
	enum result r;

	if (a->items.len + item->text.len + 8 > sizeof items_room && (r = flush_items(a, why)) != OK)
		return r;
	wire_put(&a->items, bytes_of(&kind, 1));
	wire_put(&a->items, item->text);
	a->n_here++;
	a->answer.n_items++;
	return buf_result(&a->items);
}

/* FNV-1a: it tells one list from another, nothing more; a user who makes two alike harms that user alone. */
static uint64_t
fingerprint(struct bytes text, bool executable)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) ^ executable;

	for (size_t i = 0; i < text.len; i++)
		h = (h ^ text.at[i]) * UINT64_C(0x100000001b3);
	return h;
}

static enum result
later(struct answering *a, unsigned subject, unsigned detail, enum result r)
{
	a->answer.result = SI_LATER;
	a->answer.enhanced[0] = 4;
	a->answer.enhanced[1] = (uint16_t)subject;
	a->answer.enhanced[2] = (uint16_t)detail;
	return r;
}

static enum result
read_file(struct answering *a, int fd, const struct stat *st, struct why *why)
{
	struct bytes text;
	size_t n;
	enum result r;

	if (st->st_mode & S_IWOTH)
		return later(a, 7, 0, why_set(why, REFUSED, "Uh-oh: .qmail file is writable. (#4.7.0)"));
	if (fd_pread_all(fd, text_room, sizeof text_room, 0, &n) != OK)
		return later(a, 3, 0, why_errno(why, BROKEN, "reading the .qmail file"));
	text = bytes_of(text_room, n);
	a->answer.fingerprint = fingerprint(text, (st->st_mode & S_IXUSR) != 0);
	r = dotqmail_parse(text, (st->st_mode & S_IXUSR) != 0, take_item, a, why);
	return r == OK || r == ABSENT ? r : later(a, 3, 5, r);
}

/* Whose name what is forwarded bears: asked for the whole extension, whichever file counts. */
static enum result
find_owner(struct answering *a, struct bytes dash, struct bytes extension, struct why *why)
{
	enum result r = is_there(dash, extension, "-owner", why);

	if (r == OK) {
		a->answer.owner = SI_OWNER;
		r = is_there(dash, extension, "-owner-default", why);
		if (r == OK)
			a->answer.owner = SI_VERP;
	}
	return r == OK || r == ABSENT ? OK : later(a, 3, 0, r);
}

/* A home without any such file gets the mail of all extensions as its own. */
static bool
has_any(void)
{
	DIR *d = opendir(".");
	const struct dirent *e;
	bool found = d == NULL;

	while (!found && (e = readdir(d)) != NULL)
		found = strncmp(e->d_name, ".qmail", 6) == 0;
	if (d != NULL)
		(void)closedir(d);
	return found;
}

static enum result
look(struct answering *a, const struct why *away, struct bytes dash, struct bytes extension, bool has_sender,
    struct why *why)
{
	struct dotqmail_search search = { .dash = dash, .extension = extension };
	struct stat st;
	enum result r;
	int fd;

	if ((r = home_look(away, why)) != OK)
		return later(a, 7, 0, r);
	r = open_file(&search, &a->rest, &fd, &st, why);
	if (r == ABSENT) {
		a->answer.result = dash.len == 0 || !has_any() ? SI_NO_FILE : SI_NOBODY;
		a->rest = BYTES_NONE;
		return OK;
	}
	if (r != OK)
		return later(a, 3, 0, r);
	a->answer.result = SI_LIST;
	if (has_sender)
		r = find_owner(a, dash, extension, why);
	if (r == OK)
		r = read_file(a, fd, &st, why);
	fd_close(&fd);
	return r;
}

/* ABSENT: send is gone. Whatever else comes of a file is an answer. */
static enum result
answer(struct answering *a, const struct wire_message *m, const struct why *away, struct why *why)
{
	const struct si_ask *ask = m->body;
	uint8_t room[1400 + WHY_MAX];
	struct buf tail = BUF_OVER(room);
	struct why reason = WHY_NONE;
	struct bytes fields[2];
	enum result r;

	if (!wire_take_all(m->tail, fields, nitems(fields)) || bytes_find(fields[1], '/') < fields[1].len ||
	    bytes_find(fields[1], '\0') < fields[1].len || bytes_find(fields[0], '/') < fields[0].len)
		return why_set(why, MALFORMED, "a question about no extension");
	r = look(a, away, fields[0], fields[1], ask->has_sender != 0, &reason);
	if (r == OK)
		r = flush_items(a, &reason);
	if (r == ABSENT)
		return why_set(why, r, "send is gone");
	a->answer.has_default = a->rest.at != NULL;
	wire_put_string(&tail, reason.text);
	wire_put(&tail, a->rest);
	return channel_send(a->send, SI_ANSWER, a->ref, &a->answer, buf_bytes(&tail), NULL, why);
}

enum result
instruct_run(struct channel *send, const struct why *away, struct why *why)
{
	static struct wire_buffer buffer;
	struct wire_message m;
	enum result r;

	while ((r = channel_receive(send, &buffer, &m, why)) == OK) {
		struct answering a = { .send = send, .ref = m.ref, .items = BUF_OVER(items_room) };

		r = answer(&a, &m, away, why);
		wire_close_fds(&m);
		if (r != OK)
			break;
	}
	return r == ABSENT ? OK : r;
}
