/* Spare files.
 * Trusts a write lease as the proof that nobody holds a file open any more: who could still read an old message in it
 * would read the next one too.
 * Never gives out a file whose old name, or old octets, might come back with a power cut. */
#include "queue/spares.h"

#include "sys/fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct spare_name {
	char text[8];
};

static struct spare_name
name_of(unsigned slot)
{
	struct spare_name name;

	(void)snprintf(name.text, sizeof name.text, "%u", slot);
	return name;
}

void
spares_open(struct spares *s, struct place *place)
{
	*s = (struct spares){ .place = place };
}

static bool
take_slot(struct spares *s, unsigned *slot)
{
	for (unsigned i = 0; i < nitems(s->used); i++)
		if (~s->used[i] != 0) {
			*slot = i * 64 + (unsigned)__builtin_ctzll(~s->used[i]);
			s->used[i] |= UINT64_C(1) << (*slot % 64);
			return true;
		}
	return false;
}

static void
free_slot(struct spares *s, unsigned slot)
{
	s->used[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
}

static void
put(struct spare_ring *ring, struct spare spare)
{
	ring->at[(ring->first + ring->n++) % SPARES_MAX] = spare;
}

static struct spare
take_oldest(struct spare_ring *ring)
{
	struct spare spare = ring->at[ring->first];

	ring->first = (ring->first + 1) % SPARES_MAX;
	ring->n--;
	return spare;
}

static bool
has_one(const struct spare_ring *ring, uint64_t done)
{
	return ring->n > 0 && ring->at[ring->first].order < done;
}

unsigned
spares_count(const struct spares *s)
{
	return s->renamed.n + s->blank.n;
}

static void
discard(struct spares *s, struct spare *spare)
{
	(void)unlinkat(s->place->spare, name_of(spare->slot).text, 0);
	free_slot(s, spare->slot);
	fd_close(&spare->fd);
}

static void
blank(struct spares *s, struct spare spare, uint64_t order)
{
	static const uint8_t zeros[SPARE_OCTETS_MAX];

	spare.order = order;
	if (fd_pwrite_all(spare.fd, bytes_of(zeros, (size_t)spare.len), 0) == OK)
		put(&s->blank, spare);
	else
		discard(s, &spare);
}

bool
spares_take(struct spares *s, uint64_t done, uint64_t order, struct spare *spare)
{
	while (has_one(&s->renamed, done))
		blank(s, take_oldest(&s->renamed), order);
	if (!has_one(&s->blank, done))
		return false;
	*spare = take_oldest(&s->blank);
	return true;
}

bool
spares_keep(struct spares *s, const struct id *id, int fd, uint64_t order)
{
	struct spare spare = { .fd = fd, .order = order };
	struct spare_name name;
	struct stat st;

	if (spares_count(s) == SPARES_MAX || place_is_tight(s->place) || fstat(fd, &st) != 0 ||
	    st.st_size > SPARE_OCTETS_MAX || st.st_nlink != 1 || !place_is_alone(fd))
		return false;
	if (!take_slot(s, &spare.slot))
		return false;
	name = name_of(spare.slot);
	if (renameat(place_dir(s->place, id), id->text, s->place->spare, name.text) != 0) {
		free_slot(s, spare.slot);
		return false;
	}
	spare.len = (uint64_t)st.st_size;
	put(&s->renamed, spare);
	return true;
}

void
spares_clear(struct spares *s)
{
	struct spare spare;

	while (spares_count(s) > 0) {
		spare = take_oldest(s->renamed.n > 0 ? &s->renamed : &s->blank);
		discard(s, &spare);
	}
}

void
spares_return(struct spares *s, struct spare *spare, uint64_t order)
{
	struct stat st;

	if (spare->fd < 0)
		return;
	if (spares_count(s) < SPARES_MAX && fstat(spare->fd, &st) == 0 && st.st_size <= SPARE_OCTETS_MAX &&
	    place_is_alone(spare->fd)) {
		spare->len = (uint64_t)st.st_size;
		blank(s, *spare, order);
	} else
		discard(s, spare);
	*spare = SPARE_NONE;
}

enum result
spares_name(struct spares *s, const struct spare *spare, const struct id *id, struct why *why)
{
	enum result r = place_name_spare(s->place, name_of(spare->slot).text, id, why);

	if (r == OK)
		free_slot(s, spare->slot);
	return r;
}
