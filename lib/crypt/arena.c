/* Allocation without system calls.
 * Trusts its callers as any allocator does.
 * Never gives memory back to the kernel, never grows; what does not fit fails. */
#include "crypt/arena.h"

#include "base/bytes.h"
#include "base/secret.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGN 16u
#define PAGE 4096u
#define STACK_LOCKED (20u << 10)
#define SIGNATURE_NEED (44u << 10) /* octets of most signatures: made ready at once */

/* In front of each block: its length, so that realloc knows how much to copy. A block that was given back is used again for
 * one of its class: multiples of 32 octets, then powers of two. */
struct head {
	size_t len;
	struct head *next;
};

#define SMALL_CLASSES 64
#define SMALL_MAX (SMALL_CLASSES * 32)
#define CLASSES (SMALL_CLASSES + 20)

static struct {
	uint8_t *at;
	size_t len, size;
	size_t locked_from; /* 0: not locked */
	struct head *free[CLASSES];
} arena;

/* The class of a block for len octets, and how long it really is. */
static size_t
class_of(size_t len, size_t *whole)
{
	size_t class = SMALL_CLASSES;

	if (len <= SMALL_MAX) {
		*whole = (len + 31) / 32 * 32;
		return *whole / 32 - 1;
	}
	for (*whole = 2 * SMALL_MAX; *whole < len; *whole *= 2)
		class ++;
	return class;
}

static void *
allocate(size_t len, const char *file, int line)
{
	size_t whole, class;
	struct head *h;

	(void)file;
	(void)line;
	if (len == 0 || len > arena.size / 2 || (class = class_of(len, &whole)) >= CLASSES)
		return NULL;
	if ((h = arena.free[class]) != NULL) {
		arena.free[class] = h->next;
		return h + 1;
	}
	if (arena.size - arena.len < sizeof *h + whole)
		return NULL;
	h = (struct head *)(void *)(arena.at + arena.len);
	h->len = whole;
	arena.len += sizeof *h + whole;
	return h + 1;
}

static void
release(void *at, const char *file, int line)
{
	struct head *h = at;
	size_t whole, class;

	(void)file;
	(void)line;
	if (at == NULL)
		return;
	h--;
	if (arena.locked_from > 0)
		secret_wipe(at, h->len);
	class = class_of(h->len, &whole);
	h->next = arena.free[class];
	arena.free[class] = h;
}

static void *
resize(void *at, size_t len, const char *file, int line)
{
	struct head *h = at;
	void *new;

	if (at == NULL)
		return allocate(len, file, line);
	h--;
	if (len <= h->len && len > 0)
		return at;
	new = allocate(len, file, line);
	if (new != NULL) {
		memcpy(new, at, h->len < len ? h->len : len);
		release(at, file, line);
	}
	return new;
}

enum result
arena_open(size_t size, struct why *why)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	static_assert(sizeof(struct head) % ALIGN == 0, "blocks are aligned");
	if (at == MAP_FAILED || madvise(at, size, MADV_DONTDUMP) != 0)
		return why_errno(why, EXHAUSTED, "mapping %zu octets for OpenSSL", size);
	if (CRYPTO_set_mem_functions(allocate, resize, release) != 1)
		return why_set(why, BROKEN, "OpenSSL has allocated memory already");
	arena.at = at;
	arena.size = size;
	return OK;
}

/* The part of the stack below here, as far as signing goes down. */
static int
lock_stack(void)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)(PAGE - 1);
	__attribute__((uninitialized)) volatile uint8_t room[STACK_LOCKED]; /* most of it is never touched */

	room[0] = 0;
	(void)room[0]; /* the kernel lets the stack grow to here */
	return mlock2((void *)(here - STACK_LOCKED), STACK_LOCKED + PAGE, MLOCK_ONFAULT);
}

static void
go_behind(void)
{
	memset(arena.free, 0, sizeof arena.free);
	arena.len = (arena.len + PAGE - 1) & ~(size_t)(PAGE - 1);
}

void
arena_fresh(size_t n)
{
	go_behind();
	if (arena.len < arena.size && n <= arena.size - arena.len)
		(void)madvise(
		    arena.at + arena.len, n, MADV_POPULATE_WRITE); /* kernels before 5.14 don't: page by page */
}

void
arena_trim(void)
{
	for (size_t class = SMALL_CLASSES; class < CLASSES; class ++)
		for (struct head *h = arena.free[class]; h != NULL; h = h->next) {
			uintptr_t from = ((uintptr_t)(h + 1) + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
			uintptr_t end = ((uintptr_t)(h + 1) + h->len) & ~(uintptr_t)(PAGE - 1);

			if (end > from)
				(void)madvise((void *)from, end - from, MADV_DONTNEED);
		}
}

enum result
arena_lock(size_t n, struct why *why)
{
	uintptr_t from;

	arena_fresh(SIGNATURE_NEED);
	arena.locked_from = arena.len;
	from = (uintptr_t)(arena.at + arena.len) & ~(uintptr_t)(PAGE - 1);
	if (arena.size - arena.len < n || mlock2((void *)from, n, MLOCK_ONFAULT) != 0 || lock_stack() != 0)
		return why_errno(why, EXHAUSTED, "locking %zu octets for a key", n);
	return OK;
}

void
arena_wipe(void)
{
	if (arena.locked_from > 0)
		secret_wipe(arena.at + arena.locked_from, arena.len - arena.locked_from);
}
