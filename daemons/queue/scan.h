/* Finding the messages that were there before this start, a few at a time. */
#pragma once

#include "queue/feed.h"

#include <dirent.h>

struct scan {
	struct place *place;
	struct feed *feed;
	DIR *directory; /* of the split being read */
	unsigned next;  /* split to read after it */
	bool ended;
	uint64_t *made; /* numbers of messages committed meanwhile, rising: those are announced already */
	size_t n_made, made_size;
	uint64_t n_found, n_strange;
};

/* Goes on with at most n names. True: there is more, and it could go on at once; false: it is over, or waits for
 * credit. */
bool scan_step(struct scan *s, unsigned n);

/* Notes a message that is about to get its name. EXHAUSTED: no memory. */
enum result scan_note(struct scan *s, const struct id *id, struct why *why);
