/* Allocations that fail on purpose, in every unit test program (the linker puts these before malloc and its kin).
 *
 *	for (unsigned n = 1; fail_allocation(n), thing(), allocation_failed(); n++) … the thing must have failed properly … */
#pragma once

#include <stdbool.h>

void fail_allocation(unsigned n); /* the n-th from now, once; 0: none */
bool allocation_failed(void);     /* whether it came to that; nothing fails any more after this */
