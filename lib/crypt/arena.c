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
#define STACK_LOCKED (40u << 10)

/* In front of each block: its length, so that realloc knows how much to copy. Freed blocks of one size are used again. */
struct head {
	size_t len;
	struct head *next;
};

#define CLASSES 64 /* of 32 octets each; larger blocks are used again if they are the last */

static struct {
	uint8_t *at;
	size_t len, size;
	size_t locked_from;
	struct head *free[CLASSES];
} arena;

static size_t
class_of(size_t len)
{
	return (len + 31) / 32;
}

static void *
allocate(size_t len, const char *file, int line)
{
	size_t whole = class_of(len) * 32, class = class_of(len);
	struct head *h;

	(void)file;
	(void)line;
	if (len == 0 || len > arena.size)
		return NULL;
	if (class < CLASSES && (h = arena.free[class]) != NULL) {
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

	(void)file;
	(void)line;
	if (at == NULL)
		return;
	h--;
	if ((uint8_t *)at + h->len == arena.at + arena.len) {
		arena.len -= sizeof *h + h->len;
		secret_wipe(h, sizeof *h + h->len);
	} else if (class_of(h->len) < CLASSES) {
		secret_wipe(at, h->len);
		h->next = arena.free[class_of(h->len)];
		arena.free[class_of(h->len)] = h;
	} else
		secret_wipe(at, h->len);
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
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

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
	volatile uint8_t room[STACK_LOCKED];

	room[0] = 0;
	(void)room[0]; /* the kernel lets the stack grow to here */
	return mlock2((void *)(here - STACK_LOCKED), STACK_LOCKED + PAGE, MLOCK_ONFAULT);
}

enum result
arena_lock(size_t n, struct why *why)
{
	uintptr_t from;

	/* what is used from now on comes from the locked part, not from blocks freed before */
	memset(arena.free, 0, sizeof arena.free);
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
		secret_wipe(arena.at + arena.locked_from,
		    arena.size - arena.len < PAGE ? arena.size - arena.locked_from : arena.len - arena.locked_from);
	arena.len = arena.locked_from;
}
