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

struct segment {
	uintptr_t from;
	size_t len;
	int protection;
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
	size_t before;

	if (room == MAP_FAILED)
		return NULL;
	before = (LARGE - (uintptr_t)room % LARGE) % LARGE;
	if (before > 0)
		(void)munmap(room, before);
	room += before;
	(void)munmap(room + whole, LARGE - before);
	memcpy(room, (const void *)s->from, s->len);
	/* succeeds only if large pages are what it is on then, whatever the host's setting for others */
	if (madvise(room, whole, MADV_COLLAPSE) == 0 && mprotect(room, whole, s->protection) == 0)
		return room;
	(void)munmap(room, whole);
	return NULL;
}

/* Puts the copy in the segment's place: one system call, before and after which the octets are the same. */
static bool
enlarge(const struct segment *s)
{
	size_t whole = (s->len + LARGE - 1) & ~(LARGE - 1), rest = whole - s->len;
	void *behind = (void *)(s->from + s->len), *copy;

	if (s->from % LARGE != 0 || s->len < WORTHWHILE)
		return false;
	if (rest > 0 &&
	    mmap(behind, rest, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != behind)
		return false; /* somebody has what lies behind it */
	copy = copy_large(s, whole);
	if (copy != NULL && mremap(copy, whole, whole, MREMAP_MAYMOVE | MREMAP_FIXED, s->from) == (void *)s->from)
		return true;
	if (copy != NULL)
		(void)munmap(copy, whole);
	if (rest > 0)
		(void)munmap(behind, rest);
	return false;
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
			(p->p_flags & PF_X) != 0 ? PROT_READ | PROT_EXEC : PROT_READ };

		if (p->p_type == PT_LOAD && (p->p_flags & PF_W) == 0 && !enlarge(&s))
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
