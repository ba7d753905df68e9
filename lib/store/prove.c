/* Whether a queue file is whole, content included, and what a file that is not whole looks like.
 * Trusts not one octet of it.
 * Never changes it, never keeps more of it in memory than its envelope and one piece. */
#include "store/store.h"

#include "base/crc32c.h"
#include "base/le.h"
#include "store/format.h"
#include "sys/fd.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE 16384u
#define SECTOR 512u /* no disk writes less than this at a time */
#define ZEROS 8u    /* an envelope has never so many in a row */

static bool
is_zero(struct bytes b)
{
	return b.len == 0 || (b.at[0] == 0 && memcmp(b.at, b.at + 1, b.len - 1) == 0);
}

/* Whether a sector of zeros begins in a piece that begins at a sector, or the file's last part of one is zero. */
static bool
has_zero_sector(struct bytes piece)
{
	for (; piece.len > 0; piece = bytes_skip(piece, SECTOR))
		if (is_zero(bytes_first(piece, SECTOR)))
			return true;
	return false;
}

/* OK: there is none from the sector on in which `from` lies; MALFORMED: there is one; BROKEN. */
static enum result
look_for_zeros(int fd, uint64_t from, uint64_t to)
{
	uint8_t piece[PIECE];
	size_t n;

	for (uint64_t at = from - from % SECTOR; at < to; at += n) {
		enum result r = fd_pread_all(fd, piece, to - at < PIECE ? (size_t)(to - at) : PIECE, (off_t)at, &n);

		if (r != OK)
			return r;
		if (n == 0 || has_zero_sector(bytes_of(piece, n)))
			return MALFORMED;
	}
	return OK;
}

static enum result
sum_content(int fd, const struct store_message *m, uint32_t *sum)
{
	uint64_t at = m->content_at, end = m->content_at + m->content_len;
	uint8_t piece[PIECE];
	size_t n;

	for (*sum = 0; at < end; at += n) {
		enum result r = fd_pread_all(fd, piece, end - at < PIECE ? (size_t)(end - at) : PIECE, (off_t)at, &n);

		if (r != OK)
			return r;
		if (n == 0)
			return MALFORMED;
		*sum = crc32c_add(*sum, bytes_of(piece, n));
	}
	return OK;
}

static enum result
check_content(int fd, const struct store_message *m, struct why *why)
{
	enum result r;
	uint32_t sum;

	if (m->has_sum) {
		r = sum_content(fd, m, &sum);
		if (r == OK && sum != m->sum)
			r = MALFORMED;
	} else
		r = look_for_zeros(fd, m->content_at, m->content_at + m->content_len);
	if (r == OK)
		return OK;
	if (r != MALFORMED)
		return why_errno(why, r, "reading");
	return why_set(why, r, m->has_sum ? "the sum of its content is wrong" : "its content has a sector of zeros");
}

enum result
store_prove(int fd, const struct id *id, struct why *why)
{
	struct store_message m = { 0 };
	enum result r = store_read(fd, &m, why);

	if (r == OK && memcmp(m.id.text, id->text, ID_LEN) != 0)
		r = why_set(why, MALFORMED, "the id in its head is %s", m.id.text);
	if (r == OK)
		r = check_content(fd, &m, why);
	store_message_free(&m);
	return r;
}

/* By its head, if that is one. */
static bool
is_shorter_than_it_says(const uint8_t *head, uint64_t file_len)
{
	uint64_t content_at = le32_get(head + STORE_AT_CONTENT_AT), content = le64_get(head + STORE_AT_CONTENT);

	return content_at ==
	    (uint64_t)STORE_HEAD_LEN + le32_get(head + STORE_AT_RECIPIENTS) + le32_get(head + STORE_AT_ENVELOPE) &&
	    (content_at > file_len || content > file_len - content_at);
}

/* The content is written first, into pages that begin with zeros; head and envelope are written over those zeros at the commit.
 * The kernel may write such a page to disk in between. Then no whole sector is zero, as the content shares one with what lies
 * before it. */
static bool
has_content_alone(int fd, const uint8_t *head)
{
	uint64_t content_at = le32_get(head + STORE_AT_CONTENT_AT), from = content_at - content_at % SECTOR;
	uint8_t before[SECTOR];
	size_t n;

	if (is_zero(bytes_of(head, STORE_HEAD_LEN)))
		return true;
	return from >= STORE_HEAD_LEN && fd_pread_all(fd, before, (size_t)(content_at - from), (off_t)from, &n) == OK &&
	    n >= ZEROS && is_zero(bytes_of(before, n));
}

bool
store_is_unfinished(int fd)
{
	uint8_t head[STORE_HEAD_LEN];
	struct stat st;
	size_t n;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || fd_pread_all(fd, head, sizeof head, 0, &n) != OK)
		return false;
	return n < sizeof head || is_shorter_than_it_says(head, (uint64_t)st.st_size) || has_content_alone(fd, head) ||
	    look_for_zeros(fd, 0, (uint64_t)st.st_size) == MALFORMED;
}

bool
store_is_held(int fd)
{
	uint8_t mark[4];
	size_t n;

	return fd_pread_all(fd, mark, sizeof mark, STORE_AT_MARK, &n) == OK && n == sizeof mark &&
	    le32_get(mark) == STORE_HELD;
}
