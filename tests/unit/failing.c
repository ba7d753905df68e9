/* Allocations that fail on purpose.
 * Trusts the linker's --wrap to lead every call of our own code here.
 * Never fails one that was not asked for. */
#include "failing.h"

#include <errno.h>
#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t n, size_t size);

static unsigned countdown;
static bool failed;

void
fail_allocation(unsigned n)
{
	countdown = n;
	failed = false;
}

bool
allocation_failed(void)
{
	countdown = 0;
	return failed;
}

static bool
must_fail(void)
{
	if (countdown == 0 || --countdown > 0)
		return false;
	failed = true;
	errno = ENOMEM;
	return true;
}

void *
__wrap_malloc(size_t size)
{
	return must_fail() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return must_fail() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *old, size_t size)
{
	return must_fail() ? NULL : __real_realloc(old, size);
}

void *
__wrap_reallocarray(void *old, size_t n, size_t size)
{
	return must_fail() ? NULL : __real_reallocarray(old, n, size);
}
