/* Octets that must not outlive their use: own pages, locked, not dumped, not inherited by a child, wiped at the end. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"

struct secret {
	uint8_t *at; /* null when none */
	size_t len;  /* used */
	size_t size; /* mapped */
};
#define SECRET_NONE ((struct secret){ NULL, 0, 0 })

/* Room for size octets (page multiples are mapped). EXHAUSTED if it can't be had or locked. */
enum result secret_open(struct secret *s, size_t size, struct why *why);
void secret_close(struct secret *s); /* wipes and unmaps; fine on SECRET_NONE */
/* Keeps memory of the caller out of swap, each page from its first use. EXHAUSTED if the kernel won't. */
enum result secret_lock(void *at, size_t len, struct why *why);
void secret_wipe(void *at, size_t len); /* for buffers on the stack; not removed by the compiler */
