/* What programs leave behind outside their process groups, once they are over: for a process that is the subreaper of those that it
 * starts. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Ends each child of the caller for which is_known says false. Children whose parents still live are not the caller's. */
void strays_end(bool (*is_known)(const void *ctx, pid_t pid, pid_t group), const void *ctx);
