/* The sizes of messages, kept from one session to the next. A text file: a first line with its name and version, then a line
 * a message, `UNIQUE OCTETS-OF-FILE OCTETS-AS-SENT`, in the order of maildir_view.
 * Trusts the file no more than a guess: it is the user's own, and a size is found anew when the message's file is not as
 * large as it says.
 * Never writes it in place: a reader sees the old or the new one. */
#include "mail/maildir_view.h"
#include "net/pop3_text.h"
#include "sys/clock.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_LINE MAILDIR_SIZES " 1"
#define CONTENT_MAX ((size_t)128 << 20)
#define OCTETS_MAX (UINT64_C(1) << 50)
#define PIECE 65536

static uint8_t piece[PIECE]; /* not on the stack: touched as far as messages need it */

/* ---- reading it ---- */

struct line {
	struct bytes unique;
	uint64_t at, file_octets, octets;
};

static uint64_t
leading_number(struct bytes name)
{
	uint64_t n = 0;

	for (size_t i = 0; i < name.len && ascii_is_digit(name.at[i]); i++) {
		if (i == 19)
			return 0;
		n = n * 10 + (uint64_t)(name.at[i] - '0');
	}
	return n;
}

static bool
parse_line(struct bytes text, struct line *l)
{
	struct bytes file_octets, octets, more;

	if (!bytes_split(&text, ' ', &l->unique) || !bytes_split(&text, ' ', &file_octets) ||
	    !bytes_split(&text, ' ', &octets) || bytes_split(&text, ' ', &more) || l->unique.len == 0 ||
	    !bytes_to_number(file_octets, OCTETS_MAX, &l->file_octets) ||
	    !bytes_to_number(octets, OCTETS_MAX, &l->octets))
		return false;
	l->at = leading_number(l->unique);
	return true;
}

static int
compare(const struct maildir_view *v, uint32_t i, const struct line *l)
{
	if (v->messages[i].at != l->at)
		return v->messages[i].at < l->at ? -1 : 1;
	return bytes_compare(maildir_view_unique(v, i), l->unique);
}

/* Both in one order, so one walk through both; a line out of order is one that is not found. */
void
maildir_sizes_apply(struct maildir_view *v, struct bytes content)
{
	struct bytes text;
	struct line l;
	uint32_t i = 0;

	if (content.at == NULL || !bytes_split(&content, '\n', &text) || !bytes_equal(text, BYTES(FIRST_LINE)))
		return;
	while (i < v->n && bytes_split(&content, '\n', &text)) {
		if (!parse_line(text, &l))
			continue;
		while (i < v->n && compare(v, i, &l) < 0)
			i++;
		if (i == v->n || compare(v, i, &l) != 0)
			continue;
		v->messages[i].file_octets = l.file_octets;
		v->messages[i].octets = l.octets;
		i++;
	}
}

void
maildir_sizes_load(struct maildir_view *v)
{
	int fd = v->loaded ? -1 : openat(v->top_fd, MAILDIR_SIZES, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	uint8_t *content = NULL;
	struct stat st;
	size_t n;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
	    (size_t)st.st_size <= CONTENT_MAX)
		content = malloc((size_t)st.st_size);
	if (content != NULL && fd_pread_all(fd, content, (size_t)st.st_size, 0, &n) == OK)
		maildir_sizes_apply(v, bytes_of(content, n));
	free(content);
	fd_close(&fd);
	v->loaded = true;
}

/* ---- measuring ---- */

static enum result
measure(int fd, struct maildir_message *m, struct why *why)
{
	struct pop3_size size = { 0 };
	uint64_t at = 0;
	enum result r;
	size_t n;

	do {
		if ((r = fd_pread_all(fd, piece, sizeof piece, (off_t)at, &n)) != OK)
			return why_errno(why, r, "reading a message");
		pop3_size_push(&size, bytes_of(piece, n));
		at += n;
	} while (n == sizeof piece && at <= OCTETS_MAX);
	m->file_octets = at;
	m->octets = pop3_size_finish(&size);
	return OK;
}

enum result
maildir_sizes_measure(struct maildir_view *v, uint32_t i, int fd, struct why *why)
{
	int own = -1;
	struct stat st;
	enum result r;
	bool known;

	maildir_sizes_load(v); /* so that it is not lost when the file is written */
	known = v->messages[i].octets != MAILDIR_UNMEASURED;
	if (fd < 0 && known)
		return OK;
	if (fd < 0 && (r = maildir_view_read(v, i, &own, why)) != OK)
		return r;
	if (fd >= 0 && known && fstat(fd, &st) == 0 && (uint64_t)st.st_size == v->messages[i].file_octets)
		return OK;
	r = measure(fd >= 0 ? fd : own, &v->messages[i], why);
	v->measured |= r == OK;
	fd_close(&own);
	return r;
}

/* ---- writing it ---- */

/* Can the name stand in a line? */
static bool
is_word(struct bytes name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.at[i] <= ' ' || name.at[i] >= 0x7f)
			return false;
	return name.len > 0;
}

static enum result
write_lines(const struct maildir_view *v, int fd)
{
	struct buf b = BUF_OVER(piece);
	enum result r = OK;

	buf_add_string(&b, FIRST_LINE "\n");
	for (uint32_t i = 0; i < v->n && r == OK; i++) {
		const struct maildir_message *m = &v->messages[i];
		struct bytes unique = maildir_view_unique(v, i);

		if (m->octets == MAILDIR_UNMEASURED || m->gone || !is_word(unique))
			continue;
		if (b.len > sizeof piece - 512) {
			r = fd_write_all(fd, buf_bytes(&b));
			buf_clear(&b);
		}
		buf_add(&b, unique);
		buf_add_octet(&b, ' ');
		buf_add_number(&b, m->file_octets);
		buf_add_octet(&b, ' ');
		buf_add_number(&b, m->octets);
		buf_add_octet(&b, '\n');
	}
	if (r == OK)
		r = fd_write_all(fd, buf_bytes(&b));
	return r == OK ? buf_result(&b) : r;
}

void
maildir_sizes_save(struct maildir_view *v)
{
	char name[80];
	int fd;

	if (!v->measured)
		return;
	v->measured = false;
	(void)snprintf(name, sizeof name, MAILDIR_SIZES ".%llu.%d", (unsigned long long)clock_wall_us(), (int)getpid());
	fd = openat(v->tmp_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (write_lines(v, fd) != OK || renameat(v->tmp_fd, name, v->top_fd, MAILDIR_SIZES) != 0)
		(void)unlinkat(v->tmp_fd, name, 0);
	fd_close(&fd);
}
