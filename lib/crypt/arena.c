/* Allocation without system calls.
 * Trusts its callers as any allocator does.
 * Never grows; what does not fit fails. Gives pages back when it is told to, never by itself. */
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

/* In front of each block: its length, so that realloc knows how much to copy, and whether it is free. A block that was given
 * back is used again for one of its class: multiples of 32 octets, then powers of two; or, after arena_trim, with its free
 * neighbours, as room for blocks of any class. */
#define FREE 1u /* in len, which is a multiple of 16 */
struct head {
	size_t len;
	struct head *next;
};

#define SMALLEST 32
#define SMALL_CLASSES 64
#define SMALL_MAX (SMALL_CLASSES * SMALLEST)
#define CLASSES (SMALL_CLASSES + 20)

static struct {
	uint8_t *at;
	size_t len, size;
	size_t locked_from; /* 0: not locked */
	size_t own_from;    /* what is before was used by the parent, and may be in use */
	struct head *free[CLASSES], *rooms;
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

/* The beginning of what arena_trim has put together. */
static struct head *
take_room(size_t whole)
{
	struct head *h, *rest;

	for (struct head **at = &arena.rooms; (h = *at) != NULL; at = &h->next) {
		size_t room = h->len & ~(size_t)FREE;

		if (room < whole + sizeof *h && room != whole)
			continue;
		*at = h->next;
		if (room > whole) { /* what is too small for any block waits for its neighbours */
			rest = (struct head *)(void *)((uint8_t *)(h + 1) + whole);
			rest->len = (room - whole - sizeof *h) | FREE;
			rest->next = h->next;
			if (room - whole > sizeof *h + SMALLEST)
				*at = rest;
		}
		h->len = whole;
		return h;
	}
	return NULL;
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
		h->len = whole;
		return h + 1;
	}
	if ((h = take_room(whole)) != NULL)
		return h + 1;
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
	if ((h->len & FREE) != 0)
		__builtin_trap(); /* twice: OpenSSL's state is not to be relied on any more */
	if (arena.locked_from > 0)
		secret_wipe(at, h->len);
	class = class_of(h->len, &whole);
	h->len |= FREE;
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
	arena.rooms = NULL;
	arena.len = (arena.len + PAGE - 1) & ~(size_t)(PAGE - 1);
	arena.own_from = arena.len;
}

void
arena_fresh(size_t n)
{
	go_behind();
	if (arena.len < arena.size && n <= arena.size - arena.len)
		(void)madvise(
		    arena.at + arena.len, n, MADV_POPULATE_WRITE); /* kernels before 5.14 don't: page by page */
}

/* ---- giving back ---- */

static struct head *
head_at(size_t at)
{
	return (struct head *)(void *)(arena.at + at);
}

/* Where the free blocks from there on end. */
static size_t
end_of_free(size_t at)
{
	while (at < arena.len && (head_at(at)->len & FREE) != 0)
		at += sizeof(struct head) + (head_at(at)->len & ~(size_t)FREE);
	return at;
}

static void
put_back(struct head *h)
{
	size_t len = h->len & ~(size_t)FREE, whole, class;
	struct head **list;

	if (len < SMALLEST)
		return;
	class = class_of(len, &whole);
	list = whole == len ? &arena.free[class] : &arena.rooms;
	h->next = *list;
	*list = h;
}

/* Free blocks from one place to another: whole pages behind the first head go, and all becomes one room. */
static void
give_back(size_t from, size_t end)
{
	struct head *h = head_at(from);
	uintptr_t first = ((uintptr_t)(h + 1) + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
	uintptr_t behind = (uintptr_t)(arena.at + end) & ~(uintptr_t)(PAGE - 1);

	if (behind > first) {
		h->len = (end - from - sizeof *h) | FREE;
		(void)madvise((void *)first, behind - first, MADV_DONTNEED);
		put_back(h);
	} else
		for (; from < end; from += sizeof *h + (head_at(from)->len & ~(size_t)FREE))
			put_back(head_at(from));
}

/* The lists are made anew. What was the parent's is not walked over, and used no more. */
void
arena_trim(void)
{
	size_t at = arena.own_from, end;

	memset(arena.free, 0, sizeof arena.free);
	arena.rooms = NULL;
	for (; at < arena.len; at += sizeof(struct head) + head_at(at)->len) {
		if ((end = end_of_free(at)) > at)
			give_back(at, end);
		if ((at = end) == arena.len)
			break;
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
