/* Where log lines leave the process. A write never waits and never ends the process: a line that can't be written now is
 * dropped and counted. The reader of the log may stand still, its disk may be full, or it may be gone.
 *
 * A pipe or terminal that others share is opened a second time, so that O_NONBLOCK is this process's alone. A socket is
 * written with MSG_DONTWAIT. A file is written as it is: it does not make a writer wait. */
#pragma once

#include "base/bytes.h"

enum log_out_place {
	LOG_OUT_STANDARD_ERROR, /* descriptor 2 itself becomes the process's own: for a process of the plan */
	LOG_OUT_BESIDE, /* a descriptor of its own, closed by execve: for a command whose program inherits descriptor 2 */
};

/* Call once, before confinement. Also ignores SIGPIPE, and SIGXFSZ, which a log file beyond RLIMIT_FSIZE would cause: a program
 * of somebody else's that is executed later needs log_out_usual_signals() first. Lines that children drop are counted together
 * with those of this process. Without this call lines are written to descriptor 2 as if it were a file. */
void log_out_open(enum log_out_place place);

/* Gives SIGPIPE and SIGXFSZ back their usual meaning: between fork and execve of another program. */
void log_out_usual_signals(void);

/* From now on uses no system call but write: for a process that gave up all others. */
void log_out_only_write(void);

/* Writes n whole lines, at most PIPE_BUF octets of them. False: they were dropped, and the caller counts them. */
bool log_out_write(struct bytes lines);

/* Adds to the count of lines that were dropped; takes all of it. */
void log_out_count_dropped(unsigned n);
unsigned log_out_take_dropped(void);
