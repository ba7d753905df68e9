/* Octets that must not outlive their use. Where they lie is their owner's: the stack, a static room, crypt/arena.h. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"

/* Keeps these len octets out of swap, each page from its first use, for as long as the process lives. EXHAUSTED if the
 * kernel won't. */
enum result secret_lock(void *at, size_t len, struct why *why);
void secret_wipe(void *at, size_t len); /* not removed by the compiler; at may be null if len is 0 */
