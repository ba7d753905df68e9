/* Allocations and system calls that fail on purpose, in every unit test program (the linker puts these before malloc and its kin).
 *
 *	for (unsigned n = 1; fail_allocation(n), thing(), allocation_failed(); n++) … the thing must have failed properly … */
#pragma once

#include <stdbool.h>

void fail_allocation(unsigned n); /* the n-th from now, once; 0: none */
bool allocation_failed(void);     /* whether it came to that; nothing fails any more after this */

enum failing_call {
	FAIL_WRITE,
	FAIL_PREAD,
	FAIL_FSYNC,
	FAIL_SYNCFS,
	FAIL_SYNC_FILE_RANGE,
	FAIL_OPENAT,
	FAIL_MKDIRAT,
	FAIL_RENAMEAT2,
	FAIL_UNLINKAT,
	FAIL_SYSCALL, /* openat2 */
	N_FAILING_CALLS
};

/* The n-th such call of this process from now fails with that error, once. */
void fail_call(enum failing_call call, unsigned n, int error);

/* To be called before a fork: whether a call failed in a child can be asked in the parent then. */
void fail_calls_of_children(void);
bool call_failed(void); /* since the last time that this was asked */
