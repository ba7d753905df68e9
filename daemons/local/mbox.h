/* Appending to an mbox. */
#pragma once

#include "mail/copy.h"

#define MBOX_WAIT_MS 30000 /* for its locks */

/* Appends the message to the file, below the working directory; makes it (mode 0600) if it is missing. Three locks are held
 * meanwhile: fcntl, flock, and FILE.lock where the directory allows one. OK: it is on disk. AGAIN: somebody else held a lock for
 * too long. REFUSED: the message is in a loop (copy_message). EXHAUSTED, BROKEN: nothing of it is in the file. */
enum result mbox_append(struct bytes path, const struct copy_job *job, struct why *why);
