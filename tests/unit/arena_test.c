/* Memory for OpenSSL: what is in use stays as it is, whatever is given back around it. */
#include "unit.h"

#include "crypt/arena.h"

#include <openssl/crypto.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCKS 300
#define SIZE (32u << 20)
#define PAGES (SIZE / 4096)

static struct block {
	uint8_t *at;
	size_t len;
	uint8_t mark;
} blocks[BLOCKS];

static uint8_t *first_page;

/* The same numbers at each run. */
static size_t
next_number(void)
{
	static uint64_t x = 1;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (size_t)(x >> 16);
}

static size_t
size_like_openssl(unsigned i)
{
	return i % 50 == 0 ? 1 + next_number() % 40000 : 1 + next_number() % (i % 3 == 0 ? 2500 : 300);
}

static void
check(const struct block *b)
{
	for (size_t i = 0; i < b->len; i++)
		assert_int_equal(b->at[i], b->mark);
}

static void
renew(struct block *b, unsigned i, bool resized)
{
	size_t len = size_like_openssl(i), kept = len < b->len ? len : b->len;

	check(b);
	if (resized && b->at != NULL) {
		b->at = OPENSSL_realloc(b->at, len);
		assert_non_null(b->at);
		b->len = kept;
		check(b);
	} else {
		OPENSSL_free(b->at);
		b->at = OPENSSL_malloc(len);
		assert_non_null(b->at);
	}
	b->len = len;
	b->mark = (uint8_t)i;
	memset(b->at, b->mark, len);
}

static void
drop_all(void)
{
	for (unsigned k = 0; k < BLOCKS; k++) {
		check(&blocks[k]);
		OPENSSL_free(blocks[k].at);
		blocks[k] = (struct block){ 0 };
	}
}

static unsigned
pages_present(void)
{
	static unsigned char in[PAGES];
	unsigned n = 0;

	assert_int_equal(mincore(first_page, SIZE, in), 0);
	for (size_t i = 0; i < PAGES; i++)
		n += in[i] & 1;
	return n;
}

static void
use(unsigned steps, unsigned trims)
{
	for (unsigned i = 0; i < steps; i++) {
		renew(&blocks[next_number() % BLOCKS], i, i % 7 == 0);
		if (i % trims == trims - 1)
			arena_trim();
	}
}

static void
what_is_in_use_outlives_every_trim(void **state)
{
	(void)state;
	use(20000, 97);
	drop_all();
}

static void
what_is_free_is_given_back_and_used_again(void **state)
{
	unsigned full;

	(void)state;
	use(5000, 1000000);
	full = pages_present();
	drop_all();
	arena_trim();
	assert_true(pages_present() < full / 10);
	use(5000, 500); /* the same places: it does not grow for ever */
	assert_true(pages_present() < full + full / 4);
	drop_all();
}

static void
a_child_leaves_alone_what_its_parent_has(void **state)
{
	unsigned before;
	int status;
	pid_t pid;

	(void)state;
	use(2000, 100);
	if ((pid = fork()) == 0) {
		arena_fresh(64 << 10);
		before = pages_present();
		for (unsigned k = 0; k < BLOCKS; k++)
			check(&blocks[k]);
		use(3000, 50); /* frees the parent's, too */
		drop_all();
		arena_trim();
		_exit(pages_present() < before ? 0 : 1); /* less than what was made ready */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	drop_all();
}

static void
what_is_given_back_twice_ends_the_process(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if ((pid = fork()) == 0) {
		void *volatile at = OPENSSL_malloc(100);

		(void)signal(SIGILL, SIG_DFL); /* cmocka would take it */
		OPENSSL_free(at);
		OPENSSL_free(at);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static int
open_arena(void **state)
{
	struct why why = WHY_NONE;
	void *first;

	(void)state;
	if (arena_open(SIZE, &why) != OK || (first = OPENSSL_malloc(16)) == NULL)
		return -1;
	first_page = (uint8_t *)((uintptr_t)first & ~(uintptr_t)4095);
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_in_use_outlives_every_trim),
		cmocka_unit_test(what_is_free_is_given_back_and_used_again),
		cmocka_unit_test(a_child_leaves_alone_what_its_parent_has),
		cmocka_unit_test(what_is_given_back_twice_ends_the_process),
	};

	return cmocka_run_group_tests(tests, open_arena, NULL);
}
