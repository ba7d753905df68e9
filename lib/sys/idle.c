/* Memory that an idle process does without.
 * Trusts its caller that what it names is not in use.
 * Never touches the stack at or above the frame of its caller, nor what a signal's handler could be using: there is none. */
#include "sys/idle.h"

#include <stdint.h>
#include <sys/mman.h>

#define PAGE ((uintptr_t)4096)
#define NEAR 2048u              /* octets below this frame that the call itself may use */
#define DEEP ((size_t)96 << 10) /* the kernel maps 132 KiB at the start */

void
idle_trim_stack(void)
{
	uintptr_t end = ((uintptr_t)__builtin_frame_address(0) - NEAR) & ~(PAGE - 1);

	(void)madvise((void *)(end - DEEP), DEEP, MADV_DONTNEED);
}

void
idle_trim(void *at, size_t len)
{
	uintptr_t from = ((uintptr_t)at + PAGE - 1) & ~(PAGE - 1), end = ((uintptr_t)at + len) & ~(PAGE - 1);

	if (end > from)
		(void)madvise((void *)from, end - from, MADV_DONTNEED);
}
