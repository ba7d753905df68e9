/* Page tables of code, shared by copying.
 * The kernel copies the tables of a file mapping at a fork only if the mapping has had a private page. So each mapping gets
 * one: its first octet is written with the value that it has.
 * Trusts the loader's list of segments, and that it runs alone. Never leaves anything writable that can be executed, not
 * even for a moment; so libc and the program itself, which run meanwhile, keep their code as it is. */
#include "sys/code.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

struct segment {
	uintptr_t from;
	size_t len;
};

static void
touch(const struct segment *s, int protection)
{
	volatile uint8_t *octet = (volatile uint8_t *)s->from;

	if (mprotect((void *)s->from, s->len, PROT_READ | PROT_WRITE) != 0)
		return;
	*octet = *octet;
	(void)mprotect((void *)s->from, s->len, protection);
}

static bool
holds(const struct segment *s, const void *at)
{
	return (uintptr_t)at >= s->from && (uintptr_t)at - s->from < s->len;
}

static int
each_object(struct dl_phdr_info *object, size_t size, void *context)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)size;
	for (unsigned i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &object->dlpi_phdr[i];
		uintptr_t from = (object->dlpi_addr + p->p_vaddr) & ~(page - 1);
		struct segment s = { from,
			(object->dlpi_addr + p->p_vaddr + p->p_memsz + page - 1 - from) & ~(page - 1) };

		if (p->p_type != PT_LOAD || (p->p_flags & PF_W) != 0)
			continue;
		if ((p->p_flags & PF_X) == 0)
			touch(&s, PROT_READ);
		else if (!holds(&s, context) && !holds(&s, (const void *)(uintptr_t)mprotect) &&
		    !holds(&s, (const void *)(uintptr_t)dl_iterate_phdr))
			touch(&s, PROT_READ | PROT_EXEC);
	}
	return 0;
}

void
code_copy_at_fork(void)
{
#if !defined(__SANITIZE_ADDRESS__) /* whose own code would run while it can't */
	(void)dl_iterate_phdr(each_object, (void *)(uintptr_t)code_copy_at_fork);
#else
	(void)each_object;
#endif
}
