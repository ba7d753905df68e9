/* Secret memory.
 * Trusts the kernel's word that a page is locked and left out of dumps and forks.
 * Never hands out memory that could be swapped, and never unmaps without wiping. */
#include "base/secret.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum result
secret_open(struct secret *s, size_t size, struct why *why)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t whole;
	void *at;

	*s = SECRET_NONE;
	if (__builtin_add_overflow(size, page - 1, &whole))
		return why_set(why, EXHAUSTED, "a secret of %zu octets is too large", size);
	whole -= whole % page;
	at = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return why_errno(why, EXHAUSTED, "mapping %zu octets for a secret", whole);
	if (mlock(at, whole) != 0 || madvise(at, whole, MADV_DONTDUMP) != 0 ||
	    madvise(at, whole, MADV_WIPEONFORK) != 0) {
		enum result r = why_errno(why, EXHAUSTED, "locking %zu octets for a secret", whole);

		(void)munmap(at, whole);
		return r;
	}
	*s = (struct secret){ at, 0, whole };
	return OK;
}

void
secret_close(struct secret *s)
{
	if (s->at != NULL) {
		secret_wipe(s->at, s->size);
		(void)munmap(s->at, s->size);
	}
	*s = SECRET_NONE;
}

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
