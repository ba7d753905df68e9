/* Directories below another one, which belong to the same user: one rule for `local`, which delivers there, and for
 * `pop3box`, which reads there.
 *
 * A symbolic link on the way is followed if it stays below `top`. One that leads out is refused; an absolute link always
 * leads out. */
#pragma once

#include "base/result.h"

enum beneath_links { BENEATH_FOLLOW, BENEATH_NO_LINKS }; /* whether links that stay below `top` are followed */

/* Opens the directory `path` below the directory `top` (AT_FDCWD: the working directory); *fd is the caller's,
 * close-on-exec. ABSENT: it is not there. REFUSED: it is no directory, belongs to another user than `top`, lies behind a link that is
 * refused, or may not be opened. EXHAUSTED, BROKEN. `why` always names the path. */
enum result beneath_open(int top, const char *path, enum beneath_links links, int *fd, struct why *why);

/* Makes each directory that is missing on the way to `path`, and `path`, with mode 0700. A link is never followed out of
 * `top`, and what is there is left alone. Results as above. */
enum result beneath_make(int top, const char *path, struct why *why);
