/* The last step of a process that has one thing left to do. */
#pragma once

#include "base/result.h"

/* Gives up all system calls but read, write, getpid and exit, on top of what the process gave up before; a signal of any
 * other ends it. Needs MAY_NARROW. REFUSED if the kernel won't. */
enum result process_narrow(struct why *why);
