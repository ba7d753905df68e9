/* Code and constants of a zygote, so that a fork costs little.
 * Without help each child faults the pages in again, one by one, and its end takes them out one by one. A segment that is
 * aligned for it (the Makefile's LARGE_PROGRAMS) is put on large pages: a child then has it with three table entries. Of
 * other segments the kernel copies the tables at a fork if the mapping has had a private page: so each gets one, its first
 * octet is written with the value that it has.
 * Trusts the loader's list of segments, and that it runs alone. Never leaves anything writable that can be executed, not
 * even for a moment; so libc and the program itself, which run meanwhile, are not written to where they are. */
#include "sys/code.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1; libc has no name for it yet */
#endif
#define LARGE ((size_t)2 << 20)
#define WORTHWHILE ((size_t)512 << 10)
#define WORTHWHILE_RELOCATED ((size_t)128 << 10)

struct segment {
	uintptr_t from;
	size_t len;
	int protection;
	size_t before; /* octets between the start of its first large page and itself, which nobody has */
};

static bool
holds(const struct segment *s, const void *at)
{
	return (uintptr_t)at >= s->from && (uintptr_t)at - s->from < s->len;
}

/* ---- on large pages ---- */

/* Large pages with the segment's octets, of whole octets. Null if the kernel has none. */
static void *
copy_large(const struct segment *s, size_t whole)
{
	uint8_t *room = mmap(NULL, whole + LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t odd;

	if (room == MAP_FAILED)
		return NULL;
	odd = (LARGE - (uintptr_t)room % LARGE) % LARGE;
	if (odd > 0)
		(void)munmap(room, odd);
	room += odd;
	(void)munmap(room + whole, LARGE - odd);
	memcpy(room + s->before, (const void *)s->from, s->len);
	/* succeeds only if large pages are what it is on then, whatever the host's setting for others */
	if (madvise(room, whole, MADV_COLLAPSE) == 0 && mprotect(room, whole, s->protection) == 0)
		return room;
	(void)munmap(room, whole);
	return NULL;
}

/* Takes what nobody has. False if somebody does. */
static bool
take_gap(uintptr_t from, size_t len)
{
	void *at = (void *)from;

	return len == 0 || mmap(at, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == at;
}

/* Puts the copy in the segment's place: one system call, before and after which the octets are the same. */
static bool
enlarge(const struct segment *s)
{
	size_t whole = (s->before + s->len + LARGE - 1) & ~(LARGE - 1), behind = whole - s->before - s->len;
	uintptr_t at = s->from - s->before;
	void *copy;

	if (!take_gap(at, s->before))
		return false;
	if (take_gap(s->from + s->len, behind)) {
		copy = copy_large(s, whole);
		if (copy != NULL && mremap(copy, whole, whole, MREMAP_MAYMOVE | MREMAP_FIXED, at) == (void *)at)
			return true;
		if (copy != NULL)
			(void)munmap(copy, whole);
		if (behind > 0)
			(void)munmap((void *)(s->from + s->len), behind);
	}
	if (s->before > 0)
		(void)munmap((void *)at, s->before);
	return false;
}

/* Whether it begins (code, constants) or ends (what the loader relocated) with a large page. */
static bool
may_enlarge(struct segment *s, bool relocated)
{
	s->before = relocated ? s->from % LARGE : 0;
	return relocated ? s->len >= WORTHWHILE_RELOCATED && (s->from + s->len) % LARGE == 0
			 : s->len >= WORTHWHILE && s->from % LARGE == 0;
}

/* ---- where it is ---- */

static void
touch(const struct segment *s)
{
	volatile uint8_t *octet = (volatile uint8_t *)s->from;

	if ((s->protection & PROT_EXEC) != 0 &&
	    (holds(s, (const void *)(uintptr_t)code_copy_at_fork) || holds(s, (const void *)(uintptr_t)mprotect) ||
		holds(s, (const void *)(uintptr_t)dl_iterate_phdr)))
		return;
	if (mprotect((void *)s->from, s->len, PROT_READ | PROT_WRITE) != 0)
		return;
	*octet = *octet;
	(void)mprotect((void *)s->from, s->len, s->protection);
}

static int
each_object(struct dl_phdr_info *object, size_t size, void *context)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)size;
	(void)context;
	for (unsigned i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &object->dlpi_phdr[i];
		uintptr_t from = (object->dlpi_addr + p->p_vaddr) & ~(page - 1);
		struct segment s = { from,
			(object->dlpi_addr + p->p_vaddr + p->p_memsz + page - 1 - from) & ~(page - 1),
			(p->p_flags & PF_X) != 0 ? PROT_READ | PROT_EXEC : PROT_READ, 0 };

		if (p->p_type == PT_GNU_RELRO && may_enlarge(&s, true))
			(void)enlarge(&s);
		else if (p->p_type == PT_LOAD && (p->p_flags & PF_W) == 0 && !(may_enlarge(&s, false) && enlarge(&s)) &&
		    p->p_align < LARGE) /* else what is left is for the loader, which has done its work */
			touch(&s);
	}
	return 0;
}

void
code_copy_at_fork(void)
{
#if !defined(__SANITIZE_ADDRESS__) /* whose own code would run while it can't */
	(void)dl_iterate_phdr(each_object, NULL);
#else
	(void)each_object;
#endif
}
