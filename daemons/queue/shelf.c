/* Messages at hand.
 * Trusts what it has once decoded; decodes what it opens by name, as anything may have happened to it.
 * Never holds more than SHELF_MAX descriptors. */
#include "queue/shelf.h"

#include "sys/fd.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void
shelf_open(struct shelf *s, struct place *place, struct past *past)
{
	*s = (struct shelf){ .place = place, .past = past };
	for (unsigned i = 0; i < SHELF_MAX; i++) {
		s->books[i].fd = -1;
		s->books[i].next_same = s->unused;
		s->unused = &s->books[i];
	}
}

static struct book **
bucket_of(struct shelf *s, const struct id *id)
{
	return &s->buckets[id_number(id) * UINT64_C(0x9e3779b97f4a7c15) >> 54];
}

static void
unlink_by_use(struct shelf *s, struct book *b)
{
	*(b->newer != NULL ? &b->newer->older : &s->newest) = b->older;
	*(b->older != NULL ? &b->older->newer : &s->oldest) = b->newer;
}

static void
link_newest(struct shelf *s, struct book *b)
{
	b->newer = NULL;
	b->older = s->newest;
	*(s->newest != NULL ? &s->newest->newer : &s->oldest) = b;
	s->newest = b;
}

static int
take_book(struct shelf *s, struct book *b)
{
	int fd = b->fd;
	struct book **at = bucket_of(s, &b->id);

	while (*at != b)
		at = &(*at)->next_same;
	*at = b->next_same;
	unlink_by_use(s, b);
	b->fd = -1;
	b->next_same = s->unused;
	s->unused = b;
	return fd;
}

static struct book *
find(struct shelf *s, const struct id *id)
{
	struct book *b = *bucket_of(s, id);

	while (b != NULL && memcmp(b->id.text, id->text, ID_LEN) != 0)
		b = b->next_same;
	return b;
}

void
shelf_put(struct shelf *s, const struct id *id, int fd, uint32_t n_recipients, uint64_t content_end)
{
	struct book **bucket = bucket_of(s, id), *b;

	if (s->unused == NULL)
		(void)close(take_book(s, s->oldest));
	b = s->unused;
	s->unused = b->next_same;
	*b = (struct book){ .id = *id, .fd = fd, .n_recipients = n_recipients, .content_end = content_end };
	b->next_same = *bucket;
	*bucket = b;
	link_newest(s, b);
}

static enum result
open_book(struct shelf *s, const struct id *id, struct why *why)
{
	struct why reason = WHY_NONE;
	struct store_message m;
	enum result r;
	int fd;

	if ((r = place_find(s->place, id, O_RDWR, &fd, why)) != OK)
		return r;
	r = store_read(fd, &m, &reason);
	if (r == OK && memcmp(m.id.text, id->text, ID_LEN) != 0)
		r = why_set(&reason, MALFORMED, "the id in its head is %s", m.id.text);
	if (r == MALFORMED)
		past_set_aside(s->past, id, fd, &reason);
	if (r == OK)
		shelf_put(s, id, fd, m.n_recipients, m.content_at + m.content_len);
	else
		(void)close(fd);
	store_message_free(&m);
	return r == OK ? OK : why_set(why, r, "%s", reason.text);
}

enum result
shelf_get(struct shelf *s, const struct id *id, struct book **book, struct why *why)
{
	struct book *b = find(s, id);
	enum result r;

	if (b == NULL) {
		if ((r = open_book(s, id, why)) != OK)
			return r;
		b = find(s, id);
	} else if (b != s->newest) {
		unlink_by_use(s, b);
		link_newest(s, b);
	}
	*book = b;
	return OK;
}

int
shelf_take(struct shelf *s, const struct id *id)
{
	struct book *b = find(s, id);

	return b == NULL ? -1 : take_book(s, b);
}

/* Finds the end of the last whole note, and cuts off what is behind it. */
static enum result
find_end(struct book *b, struct why *why)
{
	struct store_message place = { .content_at = b->content_end };
	struct store_notes notes;
	struct stat st;
	enum result r;

	if (fstat(b->fd, &st) != 0)
		return why_errno(why, BROKEN, "looking at a queue file");
	store_notes_begin(&notes, b->fd, &place);
	while ((r = store_notes_next(&notes, why)) == OK)
		;
	if (r != ABSENT)
		return r;
	if ((uint64_t)st.st_size > notes.at && ftruncate(b->fd, (off_t)notes.at) != 0)
		return why_errno(why, BROKEN, "cutting off half a note");
	b->notes_end = notes.at;
	return OK;
}

enum result
shelf_note(struct book *b, uint32_t recipient, struct bytes text, struct why *why)
{
	enum result r;

	if (b->notes_end == 0 && (r = find_end(b, why)) != OK)
		return r;
	if (b->notes_end - b->content_end > STORE_NOTES_MAX)
		return why_set(why, EXHAUSTED, "the message has %u octets of notes already", STORE_NOTES_MAX);
	if ((r = store_put_note(b->fd, &b->notes_end, recipient, text)) != OK)
		return why_errno(why, r, "writing a note");
	return OK;
}
