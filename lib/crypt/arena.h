/* Memory for OpenSSL in a process that will hold a key: one block of pages, not dumped, that a child locks and wipes as a
 * whole. It needs no system call once it is there, so that a signature can be made by a process that has none left. */
#pragma once

#include "base/result.h"

#include <stddef.h>

/* Before the first use of OpenSSL in the process: all its allocations come from size octets mapped now. BROKEN if OpenSSL
 * was used before; EXHAUSTED. */
enum result arena_open(size_t size, struct why *why);

/* In the child: keeps the next n octets that will be used, and the stack, out of swap. EXHAUSTED if the kernel won't. */
enum result arena_lock(size_t n, struct why *why);

/* Wipes all that was handed out since arena_lock. No allocation may be used afterwards: the process ends. */
void arena_wipe(void);
