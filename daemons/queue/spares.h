/* Files of messages that are done, kept for new ones: their inodes and blocks are there already, which saves a third of
 * what a message costs the filesystem. A spare file has a name in spare/, and an open descriptor here. */
#pragma once

#include "queue/place.h"

#define SPARES_MAX 128u
#define SPARE_OCTETS_MAX (64u << 10) /* larger files are not kept */

struct spare {
	int fd;         /* -1: none */
	unsigned slot;  /* its name */
	uint64_t len;   /* octets in it, of the old message */
	uint64_t order; /* counts flushes; see spares_take */
};
#define SPARE_NONE ((struct spare){ .fd = -1 })

struct spares {
	struct place *place;
	struct spare ring[SPARES_MAX]; /* oldest first */
	unsigned first, n;
	uint64_t used[SPARES_MAX / 64]; /* slots that have a file */
};

void spares_open(struct spares *s, struct place *place);

/* Takes the oldest spare that became one before flush `done` was begun, so that its old name is gone from the disk for
 * good. False if there is none. */
bool spares_take(struct spares *s, uint64_t done, struct spare *spare);

/* Makes a done message's file a spare: fd is its only open description (checked), `order` the last flush begun. True:
 * the name is gone and fd is taken; false: nothing was done. */
bool spares_keep(struct spares *s, const struct id *id, int fd, uint64_t order);

/* Takes one back that got no message, if nobody else has it open; else removes it. *spare becomes none. */
void spares_return(struct spares *s, struct spare *spare);

/* Removes them all: their place is needed. */
void spares_clear(struct spares *s);

/* Gives it a message's name; then it is no spare any more. */
enum result spares_name(struct spares *s, const struct spare *spare, const struct id *id, struct why *why);
