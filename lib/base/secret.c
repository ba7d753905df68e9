/* Secret memory.
 * Trusts the kernel's word that a page is locked.
 * Never leaves a wipe to the compiler, which could see that nobody reads what is wiped. */
#include "base/secret.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void
secret_wipe(void *at, size_t len)
{
	if (len > 0) /* of nothing there may be no address */
		explicit_bzero(at, len);
}

enum result
secret_lock(void *at, size_t len, struct why *why)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)at & ~(page - 1);
	size_t whole = (size_t)((uintptr_t)at + len - from);

	if (mlock2((void *)from, whole, MLOCK_ONFAULT) != 0)
		return why_errno(why, EXHAUSTED, "locking %zu octets of a secret", whole);
	return OK;
}
