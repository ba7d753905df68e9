/* Tests of the notes in a queue file: they survive what may happen to a disk, and half a note is none.
 * The notes lie in an anonymous memory file, behind a content that is not there.
 * Needs no envelope: notes do not depend on it. */
#include "unit.h"

#include "store/format.h"
#include "store/store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CONTENT_END 100u

static const struct store_message place = { .content_at = 90, .content_len = 10 };

static int
file_without_notes(void)
{
	int fd = memfd_create("queue file", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, CONTENT_END), 0);
	return fd;
}

static unsigned
count_notes(int fd, uint64_t *end)
{
	struct store_notes n;
	struct why why = WHY_NONE;
	unsigned count = 0;
	enum result r;

	store_notes_begin(&n, fd, &place);
	while ((r = store_notes_next(&n, &why)) == OK)
		count++;
	assert_int_equal(r, ABSENT);
	*end = n.at;
	return count;
}

static void
notes_are_read_back_and_half_a_note_is_none(void **state)
{
	struct store_notes n;
	struct why why = WHY_NONE;
	int fd = file_without_notes();
	uint64_t end, first, second;

	(void)state;
	assert_int_equal(count_notes(fd, &end), 0);
	assert_int_equal(end, CONTENT_END);
	assert_int_equal(store_put_note(fd, &end, 2, BYTES("550 no\r\nsuch user")), OK);
	first = end;
	assert_int_equal(store_put_note(fd, &end, 1, BYTES("x")), OK);
	second = end;
	store_notes_begin(&n, fd, &place);
	assert_int_equal(store_notes_next(&n, &why), OK);
	assert_int_equal(n.recipient, 2);
	assert_int_equal(n.text.len, 17);
	assert_memory_equal(n.text.at, "550 no  such user", 17);
	assert_int_equal(store_notes_next(&n, &why), OK);
	assert_int_equal(n.text.len, 1);
	assert_int_equal(store_notes_next(&n, &why), ABSENT);
	for (uint64_t cut = CONTENT_END; cut <= second; cut++) {
		assert_int_equal(ftruncate(fd, (off_t)cut), 0);
		assert_int_equal(count_notes(fd, &end), cut == second ? 2 : cut >= first ? 1 : 0);
		assert_int_equal(
		    ftruncate(fd, (off_t)second), 0); /* zeros from there on, as a power cut may leave them */
		assert_int_equal(count_notes(fd, &end), cut == second ? 2 : cut >= first ? 1 : 0);
		end = CONTENT_END;
		assert_int_equal(store_put_note(fd, &end, 2, BYTES("550 no\r\nsuch user")), OK);
		assert_int_equal(store_put_note(fd, &end, 1, BYTES("x")), OK);
	}
	(void)close(fd);
}

static void
a_note_too_long_is_cut(void **state)
{
	int fd = file_without_notes();
	uint8_t *text = malloc(70000);
	uint64_t end = CONTENT_END;

	(void)state;
	memset(text, 'n', 70000);
	assert_int_equal(store_put_note(fd, &end, 1, bytes_of(text, 70000)), OK);
	assert_int_equal(end, CONTENT_END + STORE_NOTE_HEAD + STORE_NOTE_MAX);
	assert_int_equal(count_notes(fd, &end), 1);
	free(text);
	(void)close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(notes_are_read_back_and_half_a_note_is_none),
		cmocka_unit_test(a_note_too_long_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
