/* Tests of store_prove: a queue file whose content is not what its writer wrote is not whole, and what a cut left of one can be
 * told from damage. Files are anonymous memory files. */
#include "unit.h"

#include "base/crc32c.h"
#include "base/le.h"
#include "store/crc.h"
#include "store/format.h"
#include "store/store.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ID_NUMBER 1234567890123456

static const struct store_recipient somebody = { .forward = BYTES("one@example.org") };

static void
the_sum_of_content_is_that_of_rfc_3720_by_instruction_and_by_table(void **state)
{
	uint8_t octets[300];

	(void)state;
	assert_int_equal(crc32c_add(0, BYTES("123456789")), 0xe3069283);
	assert_int_equal(crc32c_add_by_table(0, BYTES("123456789")), 0xe3069283);
	for (size_t i = 0; i < sizeof octets; i++)
		octets[i] = (uint8_t)(i * 167 ^ i >> 3);
	for (size_t len = 0; len <= sizeof octets; len++) {
		uint32_t whole = crc32c_add_by_table(0, bytes_of(octets, len));

		assert_int_equal(crc32c_add(0, bytes_of(octets, len)), whole);
		for (size_t cut = 0; cut <= len; cut += 7)
			assert_int_equal(
			    crc32c_add(crc32c_add(0, bytes_of(octets, cut)), bytes_of(octets + cut, len - cut)), whole);
	}
}

/* A file of several pages with n recipients; *at: where its content begins. */
static int
file_for(uint32_t n, uint32_t *at)
{
	static uint8_t content[20000];
	struct store_facts f = {
		.id = id_of_number(ID_NUMBER), .n_recipients = n, .trace = BYTES("Received: id \r\n"), .id_at = 13
	};
	struct store_draft d;
	struct why why = WHY_NONE;
	struct bytes head;
	int fd = memfd_create("queue file", MFD_CLOEXEC);

	memset(content, 'x', sizeof content);
	assert_int_equal(store_draft_begin(&d, &f, &why), OK);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(store_draft_add(&d, &somebody, &why), OK);
	*at = (uint32_t)store_draft_content_at(&d);
	head = store_draft_finish(&d, sizeof content, crc32c_add(0, bytes_of(content, sizeof content)));
	assert_int_equal(write(fd, head.at, head.len), (ssize_t)head.len);
	assert_int_equal(write(fd, content, sizeof content), (ssize_t)sizeof content);
	store_draft_free(&d);
	return fd;
}

static int
long_file(uint32_t *at)
{
	return file_for(1, at);
}

static enum result
prove(int fd)
{
	struct id id = id_of_number(ID_NUMBER);
	struct why why = WHY_NONE;

	return store_prove(fd, &id, &why);
}

static void
a_content_with_a_tail_of_zeros_is_never_whole(void **state)
{
	static const uint8_t zeros[4096];
	struct store_message m;
	struct why why = WHY_NONE;
	uint32_t at;

	(void)state;
	for (off_t page = 4096; page < 20000; page += 4096) {
		int fd = long_file(&at);

		assert_int_equal(prove(fd), OK);
		assert_false(store_is_unfinished(fd));
		assert_int_equal(pwrite(fd, zeros, 4096, page), 4096);
		assert_int_equal(store_read(fd, &m, &why), OK); /* head and envelope are sound */
		store_message_free(&m);
		assert_int_equal(prove(fd), MALFORMED);
		assert_true(store_is_unfinished(fd));
		(void)close(fd);
	}
}

static void
an_old_text_in_one_sector_of_a_new_content_is_found(void **state)
{
	uint8_t old[512];
	uint32_t at;

	(void)state;
	memset(old, 'o', sizeof old);
	for (off_t sector = 512; sector < 20000; sector += 512 * 5) {
		int fd = long_file(&at);

		assert_int_equal(pwrite(fd, old, sizeof old, sector), (ssize_t)sizeof old);
		assert_int_equal(prove(fd), MALFORMED);
		assert_false(store_is_unfinished(fd)); /* nothing is missing: this is damage */
		(void)close(fd);
	}
}

static void
what_is_short_empty_or_has_no_head_was_never_finished_and_a_flipped_bit_is_damage(void **state)
{
	static const uint8_t zeros[512];
	static const off_t lengths[] = { 0, 40, 79, 80, 100, 511, 4096, 20000 };
	uint32_t at;
	uint8_t octet;
	int fd;

	(void)state;
	for (size_t i = 0; i < nitems(lengths); i++) {
		fd = long_file(&at);
		assert_int_equal(ftruncate(fd, lengths[i]), 0);
		assert_int_equal(prove(fd), MALFORMED);
		assert_true(store_is_unfinished(fd));
		(void)close(fd);
	}
	fd = long_file(&at);
	assert_int_equal(pwrite(fd, zeros, sizeof zeros, 0), (ssize_t)sizeof zeros);
	assert_int_equal(prove(fd), MALFORMED);
	assert_true(store_is_unfinished(fd));
	(void)close(fd);
	fd = long_file(&at);
	for (off_t place = 0; place < at + 20000; place += place < at ? 1 : 997) {
		if (place >= STORE_AT_MARK && place < STORE_HEAD_LEN)
			continue; /* attempts and due time have no sum */
		assert_int_equal(pread(fd, &octet, 1, place), 1);
		octet ^= 4;
		assert_int_equal(pwrite(fd, &octet, 1, place), 1);
		assert_int_equal(prove(fd), MALFORMED);
		if (place >= at)
			assert_false(store_is_unfinished(fd));
		octet ^= 4;
		assert_int_equal(pwrite(fd, &octet, 1, place), 1);
	}
	assert_int_equal(prove(fd), OK);
	(void)close(fd);
}

/* The first pages come to disk while the content grows; what is written over them at the commit does not. */
static void
content_that_came_to_disk_before_its_head_or_its_envelope_was_never_finished(void **state)
{
	static const uint8_t zeros[4096];
	static const uint32_t recipients[] = { 1, 2, 170, 180, 190, 200, 300, 400 };
	unsigned shared = 0;

	(void)state;
	for (size_t i = 0; i < nitems(recipients); i++) {
		uint32_t at, page;
		int fd = file_for(recipients[i], &at);

		page = at - at % 4096;
		assert_int_equal(prove(fd), OK);
		assert_false(store_is_unfinished(fd));
		assert_int_equal(pwrite(fd, zeros, at - page, page), (ssize_t)(at - page));
		assert_int_equal(prove(fd), MALFORMED);
		assert_true(store_is_unfinished(fd));
		shared += page > 0 && at - page < 512;
		(void)close(fd);
	}
	assert_true(shared > 0); /* else no sector has an end of an envelope and content */
}

/* The version before had no sum: octets 59 to 63 were zero. */
static int
old_file(uint32_t *at)
{
	int fd = long_file(at);
	uint8_t head[4096];
	uint32_t crc;

	assert_int_equal(pread(fd, head, *at, 0), *at);
	memcpy(head, STORE_MAGIC_OLD, STORE_MAGIC_LEN);
	le32_put(head + STORE_AT_SUM, 0);
	crc = crc32_add(0, bytes_of(head + STORE_AT_FLAGS, STORE_AT_MARK - STORE_AT_FLAGS));
	crc = crc32_add(crc, bytes_of(head + STORE_HEAD_LEN + 1, *at - STORE_HEAD_LEN - 1));
	le32_put(head + STORE_AT_CRC, crc);
	assert_int_equal(pwrite(fd, head, *at, 0), *at);
	return fd;
}

static void
a_file_of_the_version_before_is_read_and_its_content_is_looked_at_for_zeros(void **state)
{
	static const uint8_t zeros[4096];
	struct store_message m;
	struct why why = WHY_NONE;
	uint32_t at;
	int fd = old_file(&at);

	(void)state;
	assert_int_equal(store_read(fd, &m, &why), OK);
	assert_false(m.has_sum);
	store_message_free(&m);
	assert_int_equal(prove(fd), OK);
	assert_int_equal(pwrite(fd, zeros, sizeof zeros, 8192), (ssize_t)sizeof zeros);
	assert_int_equal(prove(fd), MALFORMED);
	assert_int_equal(pwrite(fd, "\1", 1, STORE_AT_SUM), 1);
	assert_int_equal(store_read(fd, &m, &why), MALFORMED);
	(void)close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_sum_of_content_is_that_of_rfc_3720_by_instruction_and_by_table),
		cmocka_unit_test(a_content_with_a_tail_of_zeros_is_never_whole),
		cmocka_unit_test(an_old_text_in_one_sector_of_a_new_content_is_found),
		cmocka_unit_test(what_is_short_empty_or_has_no_head_was_never_finished_and_a_flipped_bit_is_damage),
		cmocka_unit_test(content_that_came_to_disk_before_its_head_or_its_envelope_was_never_finished),
		cmocka_unit_test(a_file_of_the_version_before_is_read_and_its_content_is_looked_at_for_zeros),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
