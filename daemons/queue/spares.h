/* Files of messages that are done, kept for new ones: their inodes and blocks are there already, which saves a third of
 * what a message costs the filesystem. A spare file has a name in spare/, and an open descriptor here.
 *
 * A done message's file goes through two flushes before it is a spare that can be taken. The first one brings the new name
 * to disk. Only then the file is blanked, since a power cut must not show a blank file under the old name: it would look like
 * a damaged message. The second flush brings the zeros to disk, so that a power cut can't show a part of the old message in
 * the next one: what is not written then reads as zeros. */
#pragma once

#include "queue/place.h"

#define SPARES_MAX 128u
#define SPARE_OCTETS_MAX (64u << 10) /* larger files are not kept */

struct spare {
	int fd;         /* -1: none */
	unsigned slot;  /* its name */
	uint64_t len;   /* octets in it, of the old message */
	uint64_t order; /* counts flushes: the last one that had begun when this file was renamed, or blanked */
};
#define SPARE_NONE ((struct spare){ .fd = -1 })

struct spare_ring { /* oldest first */
	struct spare at[SPARES_MAX];
	unsigned first, n;
};

struct spares {
	struct place *place;
	struct spare_ring renamed, blank;
	uint64_t used[SPARES_MAX / 64]; /* slots that have a file */
};

void spares_open(struct spares *s, struct place *place);

unsigned spares_count(const struct spares *s);

/* Blanks those whose old name is gone from the disk for good, and takes the oldest one whose zeros are on the disk. `done`:
 * the last flush that has ended; `order`: the last one that has begun. False if there is none. */
bool spares_take(struct spares *s, uint64_t done, uint64_t order, struct spare *spare);

/* Makes a done message's file a spare: fd is its only open description (checked), `order` the last flush begun. True:
 * the name is gone and fd is taken; false: nothing was done. */
bool spares_keep(struct spares *s, const struct id *id, int fd, uint64_t order);

/* Takes one back that got no message, and blanks it again, if nobody else has it open; else removes it. `order` as for
 * spares_keep. *spare becomes none. */
void spares_return(struct spares *s, struct spare *spare, uint64_t order);

/* Removes them all: their place is needed. */
void spares_clear(struct spares *s);

/* Gives it a message's name; then it is no spare any more. */
enum result spares_name(struct spares *s, const struct spare *spare, const struct id *id, struct why *why);
