/* Tests of lib/store: what is written is read back; what is cut, flipped or made up is refused.
 * Files are anonymous memory files. */
#include "unit.h"

#include "base/crc32c.h"
#include "base/le.h"
#include "failing.h"
#include "store/crc.h"
#include "store/format.h"
#include "store/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TRACE "Received: from a by b id ; Mon\r\n\tmore\r\n"
#define ID_AT 24

static const struct store_recipient people[] = {
	{ { (const uint8_t *)"one@example.org", 15 }, { (const uint8_t *)"rfc822;one@example.org", 22 }, 6 },
	{ { (const uint8_t *)"two@example.org", 15 }, { NULL, 0 }, 0 },
	{ { (const uint8_t *)"\"three \"@example.org", 20 }, { NULL, 0 }, 1 },
};
#define CONTENT "Subject: x\r\n\r\ntext\r\n"

static struct store_facts
facts(uint32_t n)
{
	return (struct store_facts){ .id = id_of_number(1234567890123456),
		.flags = STORE_8BITMIME | STORE_RET_HDRS,
		.n_recipients = n,
		.uid = 1000,
		.received_us = 1234567890123456,
		.reverse = BYTES("sender@example.org"),
		.envid = BYTES("e+20id"),
		.service = BYTES("smtpd"),
		.conn = BYTES("abc"),
		.trace = BYTES(TRACE),
		.id_at = ID_AT };
}

/* A whole file in memory; to be freed. */
static struct bytes
make(size_t *content_at)
{
	struct store_facts f = facts(nitems(people));
	struct store_draft d;
	struct why why = WHY_NONE;
	struct bytes head;
	uint8_t *whole;

	assert_int_equal(store_draft_begin(&d, &f, &why), OK);
	for (size_t i = 0; i < nitems(people); i++)
		assert_int_equal(store_draft_add(&d, &people[i], &why), OK);
	assert_true(store_draft_is_complete(&d));
	*content_at = (size_t)store_draft_content_at(&d);
	head = store_draft_finish(&d, sizeof CONTENT - 1, crc32c_add(0, BYTES(CONTENT)));
	assert_int_equal(head.len, *content_at);
	whole = malloc(head.len + sizeof CONTENT - 1);
	memcpy(whole, head.at, head.len);
	memcpy(whole + head.len, CONTENT, sizeof CONTENT - 1);
	store_draft_free(&d);
	return bytes_of(whole, *content_at + sizeof CONTENT - 1);
}

static int
file_of(struct bytes octets)
{
	int fd = memfd_create("queue file", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, octets.at, octets.len), (ssize_t)octets.len);
	return fd;
}

static void
assert_bytes(struct bytes got, const char *expected)
{
	assert_int_equal(got.len, strlen(expected));
	assert_memory_equal(got.at, expected, got.len);
}

static void
the_sum_is_that_of_ieee_802_3(void **state)
{
	uint32_t whole = crc32_add(0, BYTES("123456789"));

	(void)state;
	assert_int_equal(whole, 0xcbf43926);
	for (size_t cut = 0; cut <= 9; cut++)
		assert_int_equal(
		    crc32_add(crc32_add(0, bytes_first(BYTES("123456789"), cut)), bytes_skip(BYTES("123456789"), cut)),
		    whole);
}

static void
check_recipients(const struct store_message *m)
{
	struct store_walk w = store_walk_of(m);
	struct store_recipient r;
	enum store_status status;
	uint32_t i, n = 0;

	while (store_walk_next(&w, &r, &i, &status)) {
		assert_int_equal(i, n);
		assert_true(bytes_equal(r.forward, people[i].forward));
		assert_true(bytes_equal(r.orcpt, people[i].orcpt));
		assert_int_equal(r.notify, people[i].notify);
		assert_int_equal(status, STORE_WAITING);
		n++;
	}
	assert_int_equal(n, nitems(people));
}

static void
what_is_written_is_read_back(void **state)
{
	struct store_message m;
	struct why why = WHY_NONE;
	size_t at;
	struct bytes whole = make(&at);
	int fd = file_of(whole);

	(void)state;
	assert_int_equal(store_read(fd, &m, &why), OK);
	assert_string_equal(m.id.text, id_of_number(1234567890123456).text);
	assert_int_equal(m.flags, STORE_8BITMIME | STORE_RET_HDRS);
	assert_int_equal(m.uid, 1000);
	assert_int_equal(m.received_us, 1234567890123456);
	assert_int_equal(m.content_at, at);
	assert_int_equal(m.content_len, sizeof CONTENT - 1);
	assert_false(m.held);
	assert_int_equal(m.due_at, 0);
	assert_bytes(m.reverse, "sender@example.org");
	assert_bytes(m.envid, "e+20id");
	assert_bytes(m.service, "smtpd");
	assert_bytes(m.conn, "abc");
	assert_memory_equal(m.trace.at, TRACE, ID_AT);
	assert_memory_equal(m.trace.at + ID_AT, m.id.text, ID_LEN);
	assert_memory_equal(m.trace.at + ID_AT + ID_LEN, TRACE + ID_AT, sizeof TRACE - 1 - ID_AT);
	check_recipients(&m);
	store_message_free(&m);
	(void)close(fd);
	free((void *)(uintptr_t)whole.at);
}

static void
a_file_cut_at_any_octet_is_refused(void **state)
{
	struct store_message m;
	size_t at;
	struct bytes whole = make(&at);

	(void)state;
	for (size_t cut = 0; cut < whole.len; cut++) {
		uint8_t *copy = malloc(cut + 1);
		struct why why = WHY_NONE;
		int fd;

		memcpy(copy, whole.at, cut);
		assert_int_equal(store_decode(bytes_of(copy, cut), cut, &m, &why), MALFORMED);
		assert_string_not_equal(why.text, "");
		fd = file_of(bytes_of(copy, cut));
		assert_int_equal(store_read(fd, &m, &why), MALFORMED);
		assert_null(m.memory);
		(void)close(fd);
		free(copy);
	}
	free((void *)(uintptr_t)whole.at);
}

static void
no_flipped_bit_before_the_content_goes_unseen_but_in_times(void **state)
{
	struct store_message m;
	struct why why = WHY_NONE;
	size_t at;
	struct bytes whole = make(&at);
	uint8_t *copy = malloc(whole.len);

	(void)state;
	for (size_t bit = 0; bit < at * 8; bit++) {
		size_t octet = bit / 8;
		bool is_time = octet >= STORE_AT_ATTEMPTS && octet < STORE_HEAD_LEN;

		memcpy(copy, whole.at, whole.len);
		copy[octet] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(
		    store_decode(bytes_of(copy, whole.len), whole.len, &m, &why), is_time ? OK : MALFORMED);
	}
	free(copy);
	free((void *)(uintptr_t)whole.at);
}

static void
zeros_and_ones_are_no_message(void **state)
{
	uint8_t page[4096];
	struct store_message m;
	struct why why = WHY_NONE;

	(void)state;
	memset(page, 0, sizeof page);
	assert_int_equal(store_decode(BYTES_NONE, 0, &m, &why), MALFORMED);
	assert_int_equal(store_decode(bytes_of(page, sizeof page), sizeof page, &m, &why), MALFORMED);
	memset(page, 0xff, sizeof page);
	assert_int_equal(store_decode(bytes_of(page, sizeof page), sizeof page, &m, &why), MALFORMED);
	memcpy(page, STORE_MAGIC, STORE_MAGIC_LEN);
	assert_int_equal(store_decode(bytes_of(page, sizeof page), sizeof page, &m, &why), MALFORMED);
}

static void
counts_near_the_ends_of_their_types_are_refused(void **state)
{
	static const uint64_t numbers[] = { 0, 1, 0x7fffffff, 0x80000000, 0xffffffff, UINT64_C(0x7fffffffffffffff),
		UINT64_C(0x8000000000000000), UINT64_MAX, UINT64_MAX - 80 };
	struct store_message m;
	struct why why = WHY_NONE;
	size_t at;
	struct bytes whole = make(&at);
	uint8_t *copy = malloc(whole.len);

	(void)state;
	for (size_t i = 0; i < nitems(numbers); i++) {
		for (size_t place = STORE_AT_RECIPIENTS; place <= STORE_AT_ENVELOPE; place += 4) {
			memcpy(copy, whole.at, whole.len);
			if (place == STORE_AT_CONTENT)
				le64_put(copy + place, numbers[i]);
			else
				le32_put(copy + place, (uint32_t)numbers[i]);
			if (memcmp(copy, whole.at, whole.len) != 0)
				assert_int_equal(
				    store_decode(bytes_of(copy, whole.len), whole.len, &m, &why), MALFORMED);
		}
	}
	free(copy);
	free((void *)(uintptr_t)whole.at);
}

static void
fields_that_could_forge_another_are_refused(void **state)
{
	static const char *const bad[] = { "a\nb", "a\rb", "a\tb", "a\x7f", "\x01" };
	struct store_recipient r = { .forward = BYTES("x") };
	struct store_draft d;

	(void)state;
	for (size_t i = 0; i < nitems(bad); i++) {
		struct why why = WHY_NONE;
		struct store_facts f = facts(1);

		f.reverse = bytes_of_string(bad[i]);
		assert_int_equal(store_draft_begin(&d, &f, &why), MALFORMED);
		store_draft_free(&d);
		f = facts(1);
		f.envid = bytes_of_string(bad[i]);
		assert_int_equal(store_draft_begin(&d, &f, &why), MALFORMED);
		store_draft_free(&d);
		f = facts(1);
		assert_int_equal(store_draft_begin(&d, &f, &why), OK);
		r.forward = bytes_of_string(bad[i]);
		assert_int_equal(store_draft_add(&d, &r, &why), MALFORMED);
		r = (struct store_recipient){ .forward = BYTES("x"), .orcpt = bytes_of_string(bad[i]) };
		assert_int_equal(store_draft_add(&d, &r, &why), MALFORMED);
		store_draft_free(&d);
	}
}

static void
a_trace_text_that_is_not_made_of_lines_is_refused(void **state)
{
	static const struct {
		const char *text;
		size_t id_at;
	} bad[] = { { "a", 0 }, { "a\n", 0 }, { "a\r", 0 }, { "a\rb\r\n", 0 }, { "a\r\nb", 0 }, { "a\r\n", 2 },
		{ "a\r\n", 4 }, { "\r\r\n", 0 }, { "a\r\n", 3 } };
	struct store_draft d;

	(void)state;
	for (size_t i = 0; i < nitems(bad); i++) {
		struct store_facts f = facts(1);
		struct why why = WHY_NONE;

		f.trace = bytes_of_string(bad[i].text);
		f.id_at = bad[i].id_at;
		assert_int_equal(store_draft_begin(&d, &f, &why), MALFORMED);
		store_draft_free(&d);
	}
}

static void
a_message_without_a_trace_text_is_not_lost(void **state)
{
	struct store_facts f = facts(1);
	struct store_draft d;
	struct store_message m;
	struct why why = WHY_NONE;
	struct bytes whole;

	(void)state;
	f.trace = BYTES_NONE;
	f.id_at = 0;
	assert_int_equal(store_draft_begin(&d, &f, &why), OK);
	assert_int_equal(store_draft_add(&d, &people[0], &why), OK);
	whole = store_draft_finish(&d, 0, 0);
	assert_int_equal(store_decode(whole, whole.len, &m, &why), OK);
	assert_int_equal(m.trace.len, 0);
	store_draft_free(&d);
}

static void
recipients_are_counted_and_bounded(void **state)
{
	struct store_facts f = facts(2);
	struct store_draft d;
	struct why why = WHY_NONE;
	char *long_path = malloc(STORE_PATH_MAX + 1);
	struct store_recipient r = { .forward = bytes_of(long_path, STORE_PATH_MAX + 1) };

	(void)state;
	memset(long_path, 'x', STORE_PATH_MAX + 1);
	assert_int_equal(store_draft_begin(&d, &f, &why), OK);
	assert_int_equal(store_draft_add(&d, &people[0], &why), OK);
	assert_false(store_draft_is_complete(&d));
	assert_int_equal(store_draft_add(&d, &r, &why), MALFORMED);
	r.forward.len--;
	assert_int_equal(store_draft_add(&d, &r, &why), OK);
	assert_true(store_draft_is_complete(&d));
	assert_int_equal(store_draft_add(&d, &people[0], &why), MALFORMED);
	store_draft_free(&d);
	f.n_recipients = 0;
	assert_int_equal(store_draft_begin(&d, &f, &why), MALFORMED);
	f.n_recipients = STORE_RECIPIENTS_MAX + 1;
	assert_int_equal(store_draft_begin(&d, &f, &why), MALFORMED);
	f.n_recipients = STORE_RECIPIENTS_MAX;
	assert_int_equal(store_draft_begin(&d, &f, &why), OK);
	r.orcpt = r.forward;
	for (uint32_t i = 0; i < STORE_RECIPIENTS_MAX; i++)
		if (store_draft_add(&d, &r, &why) != OK)
			break;
	assert_int_equal(store_draft_add(&d, &r, &why), EXHAUSTED); /* 40 MB of paths */
	store_draft_free(&d);
	free(long_path);
}

static void
twenty_thousand_recipients_are_kept(void **state)
{
	struct store_facts f = facts(STORE_RECIPIENTS_MAX);
	struct store_draft d;
	struct store_message m;
	struct why why = WHY_NONE;
	int fd;

	(void)state;
	assert_int_equal(store_draft_begin(&d, &f, &why), OK);
	for (uint32_t i = 0; i < STORE_RECIPIENTS_MAX; i++)
		assert_int_equal(store_draft_add(&d, &people[i % 3], &why), OK);
	fd = file_of(store_draft_finish(&d, 0, 0));
	assert_int_equal(store_read(fd, &m, &why), OK);
	assert_int_equal(m.n_recipients, STORE_RECIPIENTS_MAX);
	store_message_free(&m);
	store_draft_free(&d);
	(void)close(fd);
}

static void
changes_in_place_are_read_back_and_touch_nothing_else(void **state)
{
	struct store_message m;
	struct why why = WHY_NONE;
	size_t at;
	struct bytes whole = make(&at);
	int fd = file_of(whole);

	(void)state;
	assert_int_equal(store_put_status(fd, 1, STORE_FAILED), OK);
	assert_int_equal(store_put_status(fd, 2, STORE_DELIVERED), OK);
	assert_int_equal(store_put_later(fd, 7, 99999999999), OK);
	assert_int_equal(store_put_mark(fd, true), OK);
	assert_int_equal(store_read(fd, &m, &why), OK);
	assert_int_equal(m.statuses.at[0], STORE_WAITING);
	assert_int_equal(m.statuses.at[1], STORE_FAILED);
	assert_int_equal(m.statuses.at[2], STORE_DELIVERED);
	assert_int_equal(m.attempts, 7);
	assert_int_equal(m.due_at, 99999999999);
	assert_true(m.held);
	assert_bytes(m.reverse, "sender@example.org");
	store_message_free(&m);
	assert_int_equal(store_put_mark(fd, false), OK);
	assert_int_equal(store_read(fd, &m, &why), OK);
	assert_false(m.held);
	assert_int_equal(m.attempts, 7);
	store_message_free(&m);
	(void)close(fd);
	free((void *)(uintptr_t)whole.at);
}

static enum result
draft_all(struct store_draft *d, struct why *why)
{
	struct store_facts f = facts(300);
	enum result r = store_draft_begin(d, &f, why);

	for (unsigned i = 0; i < 300 && r == OK; i++)
		r = store_draft_add(d, &people[i % 3], why);
	return r;
}

static void
every_allocation_may_fail(void **state)
{
	struct store_draft d;
	struct store_message m;
	struct why why = WHY_NONE;
	enum result r;
	unsigned n;
	int fd;

	(void)state;
	for (n = 1;; n++) {
		fail_allocation(n);
		r = draft_all(&d, &why);
		if (!allocation_failed())
			break;
		assert_int_equal(r, EXHAUSTED);
		store_draft_free(&d);
	}
	assert_int_equal(r, OK);
	assert_true(n > 3);
	fd = file_of(store_draft_finish(&d, 0, 0));
	store_draft_free(&d);
	for (n = 1;; n++) {
		fail_allocation(n);
		r = store_read(fd, &m, &why);
		if (!allocation_failed())
			break;
		assert_int_equal(r, EXHAUSTED);
	}
	assert_int_equal(r, OK);
	assert_int_equal(n, 3);
	store_message_free(&m);
	(void)close(fd);
}

static void
names_lie_in_the_directory_of_their_sixth_digit(void **state)
{
	struct id id;

	(void)state;
	assert_true(id_from_bytes(BYTES("01234v6789a"), &id));
	assert_int_equal(store_split_of(&id), 31);
	for (unsigned i = 0; i < STORE_N_SPLITS; i++) {
		id.text[5] = store_split_digit(i);
		assert_int_equal(store_split_of(&id), i);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_sum_is_that_of_ieee_802_3),
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(a_file_cut_at_any_octet_is_refused),
		cmocka_unit_test(no_flipped_bit_before_the_content_goes_unseen_but_in_times),
		cmocka_unit_test(zeros_and_ones_are_no_message),
		cmocka_unit_test(counts_near_the_ends_of_their_types_are_refused),
		cmocka_unit_test(fields_that_could_forge_another_are_refused),
		cmocka_unit_test(a_trace_text_that_is_not_made_of_lines_is_refused),
		cmocka_unit_test(a_message_without_a_trace_text_is_not_lost),
		cmocka_unit_test(recipients_are_counted_and_bounded),
		cmocka_unit_test(twenty_thousand_recipients_are_kept),
		cmocka_unit_test(changes_in_place_are_read_back_and_touch_nothing_else),
		cmocka_unit_test(every_allocation_may_fail),
		cmocka_unit_test(names_lie_in_the_directory_of_their_sixth_digit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
