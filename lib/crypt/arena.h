/* Memory for OpenSSL in zygotes and their children: one block of pages, not dumped. What a child allocates lies together
 * behind what the zygote has, so that few pages become its own; a signer locks and wipes its part as a whole. No system call
 * is needed once it is there, so that a signature can be made by a process that has none left. */
#pragma once

#include "base/result.h"

#include <stddef.h>

/* Before the first use of OpenSSL in the process: all its allocations come from size octets mapped now. BROKEN if OpenSSL
 * was used before; EXHAUSTED. */
enum result arena_open(size_t size, struct why *why);

/* In a child: from now on memory is taken behind all that was used before, and the first n octets of it are made ready at
 * once instead of page by page. */
void arena_fresh(size_t n);

/* Gives the kernel the pages in which nothing is in use, as far as the process has them of its own, and puts free blocks
 * together: for a process that will be idle. */
void arena_trim(void);

/* In a child that will hold a key: the same, and keeps the next n octets that will be used, and the stack, out of swap; what is given back is wiped. EXHAUSTED if
 * the kernel won't. */
enum result arena_lock(size_t n, struct why *why);

/* Wipes all that was handed out since arena_lock. No allocation may be used afterwards: the process ends. */
void arena_wipe(void);
