/* Finding the messages that were there before this start, a few at a time. */
#pragma once

#include "queue/feed.h"
#include "queue/late.h"

#include <dirent.h>

struct scan {
	struct place *place;
	struct feed *feed;
	struct past *past;
	struct proofs *proofs;
	struct late *late;
	struct loop *loop;
	struct timer again; /* set: no descriptor or memory for a directory; the scan pauses */
	DIR *directory;     /* of the split being read */
	unsigned next;      /* split to read after it */
	bool ended;
	unsigned n_proving; /* messages found that are being read whole */
	uint64_t n_found, n_strange;
};

/* Goes on with at most n names. True: there is more, and it could go on at once; false: it is over, or waits for
 * credit. */
bool scan_step(struct scan *s, unsigned n);

/* Opens and announces one message, after its proof if it needs one. There must be credit and room for a proof. What can't be
 * opened for want of memory or descriptors goes to the late ones. */
void scan_look_at(struct scan *s, const struct id *id);

/* What became of the proof of a message that was found. */
void scan_proved(struct scan *s, struct proof *proof);
