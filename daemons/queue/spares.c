/* Spare files.
 * Trusts a write lease as the proof that nobody holds a file open any more: who could still read an old message in it
 * would read the next one too.
 * Never gives out a file whose old name might come back with a power cut. */
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
add(struct spares *s, struct spare spare)
{
	s->ring[(s->first + s->n++) % SPARES_MAX] = spare;
}

bool
spares_take(struct spares *s, uint64_t done, struct spare *spare)
{
	if (s->n == 0 || s->ring[s->first].order >= done)
		return false;
	*spare = s->ring[s->first];
	s->first = (s->first + 1) % SPARES_MAX;
	s->n--;
	return true;
}

bool
spares_keep(struct spares *s, const struct id *id, int fd, uint64_t order)
{
	struct spare spare = { .fd = fd, .order = order };
	struct spare_name name;
	struct stat st;

	if (s->n == SPARES_MAX || place_is_tight(s->place) || fstat(fd, &st) != 0 || st.st_size > SPARE_OCTETS_MAX ||
	    st.st_nlink != 1 || !place_is_alone(fd))
		return false;
	if (!take_slot(s, &spare.slot))
		return false;
	name = name_of(spare.slot);
	if (renameat(place_dir(s->place, id), id->text, s->place->spare, name.text) != 0) {
		free_slot(s, spare.slot);
		return false;
	}
	spare.len = (uint64_t)st.st_size;
	add(s, spare);
	return true;
}

static void
discard(struct spares *s, struct spare *spare)
{
	(void)unlinkat(s->place->spare, name_of(spare->slot).text, 0);
	free_slot(s, spare->slot);
	fd_close(&spare->fd);
}

void
spares_clear(struct spares *s)
{
	struct spare spare;

	while (spares_take(s, UINT64_MAX, &spare))
		discard(s, &spare);
}

void
spares_return(struct spares *s, struct spare *spare)
{
	struct stat st;

	if (spare->fd < 0)
		return;
	if (s->n < SPARES_MAX && fstat(spare->fd, &st) == 0 && st.st_size <= SPARE_OCTETS_MAX &&
	    place_is_alone(spare->fd)) {
		spare->len = (uint64_t)st.st_size;
		add(s, *spare);
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
