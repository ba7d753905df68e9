/* Messages at hand: their files open for reading and writing, the least recently used is closed first. */
#pragma once

#include "queue/past.h"

#define SHELF_MAX 512u
#define SHELF_BUCKETS 1024u

struct book {
	struct id id;
	int fd;
	uint32_t n_recipients;
	uint64_t content_end;       /* where notes begin */
	uint64_t notes_end;         /* where the next note goes; 0: not looked at yet */
	struct book *next_same;     /* in its bucket */
	struct book *newer, *older; /* by use */
};

struct shelf {
	struct place *place;
	struct past *past;
	struct book books[SHELF_MAX];
	struct book *buckets[SHELF_BUCKETS];
	struct book *newest, *oldest, *unused;
};

void shelf_open(struct shelf *s, struct place *place, struct past *past);

/* Puts a message there whose file is open already; fd is taken. */
void shelf_put(struct shelf *s, const struct id *id, int fd, uint32_t n_recipients, uint64_t content_end);

/* The message, opened and decoded if it was not at hand. ABSENT; MALFORMED: it was damaged and has been set aside;
 * EXHAUSTED, BROKEN. Valid until the next call of the shelf. */
enum result shelf_get(struct shelf *s, const struct id *id, struct book **book, struct why *why);

/* Takes it off: its descriptor, which is the caller's then, or -1. */
int shelf_take(struct shelf *s, const struct id *id);

/* Writes a note to a message at hand. */
enum result shelf_note(struct book *book, uint32_t recipient, struct bytes text, struct why *why);
