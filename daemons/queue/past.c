/* What earlier runs left.
 * Trusts the mark only with its sum: it is one sector, which a power cut leaves old or new. It says less than is true, never
 * more, since it is written after the flushes that it speaks of.
 * Never removes what may have been answered: when in doubt a file is set aside, and that is an error. */
#include "queue/past.h"

#include "base/le.h"
#include "store/crc.h"
#include "sys/clock.h"
#include "sys/fd.h"
#include "sys/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAGIC "pnanswer"
#define MARK_EVERY_MS 250

enum { AT_NUMBER = 8, AT_CRC = 16, MARK_LEN = 20 };

static void
cant_use_mark(const char *what)
{
	struct why why = WHY_NONE;
	enum result r = why_errno(&why, BROKEN, "%s the file " PAST_MARK " of the queue", what);

	log_why("no-mark", r, &why);
}

/* The file is open only while it is written: one held open would keep an administrator from making the disk read-only. */
static int
open_mark(const struct past *p)
{
	return openat(p->place->root, PAST_MARK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static void
write_mark(struct past *p, uint64_t number, bool flushed)
{
	uint8_t mark[MARK_LEN];
	int fd = open_mark(p);

	memcpy(mark, MAGIC, AT_NUMBER);
	le64_put(mark + AT_NUMBER, number);
	le32_put(mark + AT_CRC, crc32_add(0, bytes_of(mark, AT_CRC)));
	p->written = number;
	if (fd < 0 || fd_pwrite_all(fd, bytes_of(mark, sizeof mark), 0) != OK)
		cant_use_mark("writing");
	else if (flushed && (fsync(fd) != 0 || fsync(p->place->root) != 0))
		cant_use_mark("flushing");
	fd_close(&fd);
}

void
past_open(struct past *p, struct place *place)
{
	uint8_t mark[MARK_LEN];
	size_t n = 0;
	int fd;

	*p = (struct past){ .place = place };
	fd = open_mark(p);
	p->has_mark = fd >= 0 && fd_pread_all(fd, mark, sizeof mark, 0, &n) == OK;
	if (!p->has_mark)
		cant_use_mark("reading");
	fd_close(&fd);
	if (!p->has_mark)
		return;
	p->is_known = n == sizeof mark && memcmp(mark, MAGIC, AT_NUMBER) == 0 &&
	    crc32_add(0, bytes_of(mark, AT_CRC)) == le32_get(mark + AT_CRC);
	/* The first one is on disk before the first message of this run: of what it finds now, nothing is taken for never
	 * answered. */
	if (p->is_known)
		p->answered = le64_get(mark + AT_NUMBER);
	else
		write_mark(p, clock_wall_us(), true);
}

enum result
past_note(struct past *p, const struct id *id, struct why *why)
{
	uint64_t number = id_number(id);
	size_t at = p->n_made;

	if (p->is_read)
		return OK;
	if (p->n_made == p->made_size) {
		size_t size = p->made_size == 0 ? 1024 : p->made_size * 2;
		uint64_t *made = reallocarray(p->made, size, sizeof *made);

		if (made == NULL)
			return why_set(why, EXHAUSTED, "no memory for the list of new messages");
		p->made = made;
		p->made_size = size;
	}
	/* nearly in order: commits overtake each other a little */
	for (; at > 0 && p->made[at - 1] > number; at--)
		p->made[at] = p->made[at - 1];
	p->made[at] = number;
	p->n_made++;
	return OK;
}

static int
compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

void
past_found(struct past *p, const struct id *id)
{
	uint64_t number = id_number(id);

	if (number > p->newest)
		p->newest = number;
}

void
past_is_read(struct past *p)
{
	p->is_read = true;
	free(p->made);
	p->made = NULL;
	p->n_made = p->made_size = 0;
}

bool
past_has(const struct past *p, const struct id *id)
{
	uint64_t number = id_number(id);

	if (p->is_read)
		return number <= p->newest;
	return p->n_made == 0 || bsearch(&number, p->made, p->n_made, sizeof number, compare) == NULL;
}

void
past_set_aside(struct past *p, const struct id *id, int fd, const struct why *why)
{
	struct why second = WHY_NONE;
	enum result r;

	if (!p->is_known || id_number(id) < p->answered || !past_has(p, id) || !store_is_unfinished(fd)) {
		place_set_aside(p->place, id, why);
		return;
	}
	r = place_remove(p->place, id, &second);
	if (r == OK)
		p->n_unanswered++;
	else if (r != ABSENT)
		log_why("not-removed", r, &second);
}

uint64_t
past_next_mark_ms(const struct past *p)
{
	return p->written_ms + MARK_EVERY_MS;
}

void
past_raise_mark(struct past *p, uint64_t open, uint64_t now_ms)
{
	if (!p->is_read || !p->has_mark || open == p->written)
		return;
	write_mark(p, open, false);
	p->written_ms = now_ms;
}
