/* Deliveries to a Maildir, in steps, so that a group of them can share its flushes:
 *
 *	maildir_open → maildir_begin → (write into the descriptor) → flush it → maildir_finish → flush new_fd
 *
 * Everything is relative to the directory in which the process stands, and is done as its user. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#define MAILDIR_PATH_MAX 1024
#define MAILDIR_NAME_MAX 160

struct maildir {
	int tmp_fd, new_fd;
};

/* Opens NAME/tmp and NAME/new below the working directory, by the rule of sys/beneath.h; tmp and new must not be links. With
 * `make` a missing Maildir is made (mode 0700). ABSENT: there is none; REFUSED: not a Maildir, or not ours; EXHAUSTED,
 * BROKEN. `why` always says what is wrong, with its path. */
enum result maildir_open(struct maildir *d, struct bytes path, bool make, struct why *why);
void maildir_close(struct maildir *d);

/* A delivery in progress: its name is the same in tmp and new. */
struct maildir_delivery {
	char name[MAILDIR_NAME_MAX];
	int fd; /* -1: none */
};

/* Makes the file in tmp. The name is unique among all deliveries of this host. */
enum result maildir_begin(const struct maildir *d, struct maildir_delivery *m, struct why *why);

/* Names it in new. Its content must be on disk; it is delivered once new_fd is flushed. */
enum result maildir_finish(const struct maildir *d, struct maildir_delivery *m, struct why *why);

/* Removes what was begun and not finished; fine for what was finished or never begun. */
void maildir_drop(const struct maildir *d, struct maildir_delivery *m);

/* Removes files of tmp that nobody has touched for 36 hours (maildir(5)). */
void maildir_clean(const struct maildir *d, uint64_t now_s);
