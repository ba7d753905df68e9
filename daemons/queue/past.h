/* What earlier runs left: which messages are from before this start, and which of them can't have been answered. */
#pragma once

#include "queue/place.h"

#define PAST_MARK "answered" /* a file in the queue directory; doc/STATES 1 */

struct past {
	struct place *place;
	bool has_mark;     /* the file can be read and written */
	bool is_known;     /* whether there was a mark at this start */
	uint64_t answered; /* that mark: every message whose id is lower, and that has a name, was flushed */
	uint64_t written;  /* the mark of this run; 0: not yet */
	uint64_t written_ms;
	bool is_read;    /* the scan has ended */
	uint64_t newest; /* highest id that the scan has found */
	uint64_t *made;  /* while the scan runs: ids of messages committed meanwhile, rising */
	size_t n_made, made_size;
	uint64_t n_unanswered; /* files removed as never answered */
};

/* Reads the mark. A mark that is missing or damaged, or can't be read, is none: then nothing is taken for never answered. */
void past_open(struct past *p, struct place *place);

/* Notes a message of this run that is about to get its name. EXHAUSTED: no memory. */
enum result past_note(struct past *p, const struct id *id, struct why *why);

/* Of the scan: one was found; all were found. */
void past_found(struct past *p, const struct id *id);
void past_is_read(struct past *p);

/* Whether a message was in the queue before this start: then its file may never have been flushed. */
bool past_has(const struct past *p, const struct id *id);

/* Deals with a file that is MALFORMED. One from before this start that is not below the mark and shows that its writing was
 * never finished was never answered: it is removed and counted. Any other is damaged: set aside and logged, with `why`. */
void past_set_aside(struct past *p, const struct id *id, int fd, const struct why *why);

/* Writes the mark, once the scan has ended: `open` is the id, as a number, of the oldest message that has no answer yet. */
void past_raise_mark(struct past *p, uint64_t open, uint64_t now_ms);

/* When the mark may be written again. */
uint64_t past_next_mark_ms(const struct past *p);
