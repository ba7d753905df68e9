/* Tests of lib/mail/dotqmail, and of what else a delivery by a .qmail file is made of: names, lines, exit statuses, loops, an mbox's form. */
#include "unit.h"

#include "mail/copy.h"
#include "mail/dotqmail.h"
#include "mail/from_line.h"
#include "mail/header_loop.h"
#include "mail/program_exit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- lines ---- */

static const char letters[] = "Dmbpf!";

static enum result
show(void *ctx, const struct dotqmail_item *item, struct why *why)
{
	struct buf *b = ctx;

	(void)why;
	buf_add_octet(b, (uint8_t)letters[item->kind]);
	buf_add(b, item->kind == DOTQMAIL_ERROR ? bytes_first(item->text, 7) : item->text);
	buf_add_octet(b, '|');
	return OK;
}

static void
lines_are_read_as_qmail_reads_them(void **state)
{
	static const struct {
		const char *text;
		bool executable;
		const char *items;
	} rows[] = {
		{ "", false, "D|" },
		{ "", true, "D|" },
		{ "./Maildir/\n", false, "m./Maildir|" },
		{ "./Maildir///", false, "m./Maildir|" },
		{ "/", false, "m/|" },
		{ ".", false, "b.|" },
		{ "./mbox \t\n/var/x\n", false, "b./mbox|b/var/x|" },
		{ "|a b \n| c\n|\n", false, "pa b|p c|p|" },
		{ "&a@b\na@b\n a@b\n&\n& x\n", false, "fa@b|fa@b|f a@b|f|f x|" },
		{ "# x\n\n#\n", false, "" },
		{ "\na\n", false, "!Uh-oh: |fa|" },
		{ "  \na\n", false, "!Uh-oh: |fa|" },
		{ "+list\na\n./x\n|y\n", false, "fa|!Uh-oh: |!Uh-oh: |" },
		{ "+lists\n./x/\n", false, "m./x|" },
		{ "+list \n|x\n", false, "!Uh-oh: |" },
		{ "a\n./x/\n", true, "fa|!Uh-oh: |" },
		{ "a\r\n", false, "fa\r|" },
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		uint8_t room[200];
		struct buf b = BUF_OVER(room);
		struct why why = WHY_NONE;

		assert_int_equal(dotqmail_parse(bytes_of_string(rows[i].text), rows[i].executable, show, &b, &why), OK);
		assert_string_equal(buf_string(&b), rows[i].items);
	}
}

static enum result
count(void *ctx, const struct dotqmail_item *item, struct why *why)
{
	(void)item;
	(void)why;
	++*(unsigned *)ctx;
	return OK;
}

static enum result
parsed(const char *line, unsigned n, struct why *why)
{
	struct buf b = buf_growing(2 * DOTQMAIL_FILE_MAX);
	unsigned items = 0;
	enum result r;

	for (unsigned i = 0; i < n; i++)
		buf_add_string(&b, line);
	r = dotqmail_parse(buf_bytes(&b), false, count, &items, why);
	buf_free(&b);
	return r;
}

static void
a_file_beyond_the_bounds_is_refused_with_a_reason(void **state)
{
	char line[DOTQMAIL_LINE_MAX + 10];
	struct why why = WHY_NONE;
	unsigned n = 0;

	(void)state;
	assert_int_equal(parsed("|x\n", DOTQMAIL_ITEMS_MAX, &why), OK);
	assert_int_equal(parsed("|x\n", DOTQMAIL_ITEMS_MAX + 1, &why), EXHAUSTED);
	assert_non_null(strstr(why.text, "20000 instructions"));
	why = WHY_NONE;
	assert_int_equal(parsed("#\n", 100000, &why), OK);
	assert_int_equal(parsed("# comment\n", DOTQMAIL_FILE_MAX / 10 + 1, &why), EXHAUSTED);
	assert_non_null(strstr(why.text, "octets"));
	why = WHY_NONE;
	memset(line, 'x', sizeof line);
	assert_int_equal(dotqmail_parse(bytes_of(line, DOTQMAIL_LINE_MAX), false, count, &n, &why), OK);
	assert_int_equal(dotqmail_parse(bytes_of(line, DOTQMAIL_LINE_MAX + 1), false, count, &n, &why), EXHAUSTED);
	assert_int_equal(dotqmail_parse(bytes_of("a\0b\n", 4), false, count, &n, NULL), EXHAUSTED);
	line[0] = '#';
	assert_int_equal(dotqmail_parse(bytes_of(line, sizeof line), false, count, &n, NULL), OK);
}

static enum result
refuse(void *ctx, const struct dotqmail_item *item, struct why *why)
{
	(void)ctx;
	(void)item;
	return why_set(why, ABSENT, "enough");
}

static void
who_takes_them_may_end_the_reading(void **state)
{
	struct why why = WHY_NONE;

	(void)state;
	assert_int_equal(dotqmail_parse(BYTES("a\nb\n"), false, refuse, NULL, &why), ABSENT);
	assert_string_equal(why.text, "enough");
}

/* ---- names ---- */

static void
names_are_tried_from_the_whole_extension_to_default(void **state)
{
	static const struct {
		const char *dash, *extension, *names; /* each with =DEFAULT, if that is set */
	} rows[] = {
		{ "", "", ".qmail .qmaildefault= " },
		{ "-", "a-B.c-D",
		    ".qmail-a-b:c-d .qmail-a-b:c-default=D .qmail-a-default=B.c-D .qmail-default=a-B.c-D " },
		{ "-", "a-", ".qmail-a- .qmail-a-default= .qmail-default=a- " },
		{ "-", "a", ".qmail-a .qmail-default=a " },
		{ "-", "x-Default", ".qmail-x-default=Default .qmail-x-default=Default .qmail-default=x-Default " },
		{ "-", "-", ".qmail-- .qmail--default= .qmail-default=- " },
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		struct dotqmail_search s = { .dash = bytes_of_string(rows[i].dash),
			.extension = bytes_of_string(rows[i].extension) };
		uint8_t room[300], one[DOTQMAIL_NAME_MAX + 1];
		struct buf all = BUF_OVER(room), name = BUF_OVER(one);
		struct bytes rest;

		while (dotqmail_next(&s, &name, &rest)) {
			buf_add(&all, buf_bytes(&name));
			if (rest.at != NULL)
				buf_add_octet(&all, '=');
			buf_add(&all, rest);
			buf_add_octet(&all, ' ');
		}
		assert_string_equal(buf_string(&all), rows[i].names);
		assert_false(dotqmail_next(&s, &name, &rest));
	}
}

static void
a_name_that_is_too_long_for_a_file_says_so(void **state)
{
	static uint8_t long_one[400];
	uint8_t one[DOTQMAIL_NAME_MAX + 1];
	struct dotqmail_search s = { .dash = BYTES("-"), .extension = bytes_of(long_one, sizeof long_one) };
	struct buf name = BUF_OVER(one);
	struct bytes rest;

	(void)state;
	memset(long_one, 'a', sizeof long_one);
	assert_true(dotqmail_next(&s, &name, &rest) && buf_string(&name) == NULL);
	assert_true(dotqmail_next(&s, &name, &rest));
	assert_string_equal(buf_string(&name), ".qmail-default");
}

/* ---- exit statuses ---- */

static void
an_exit_status_means_what_qmail_command_says(void **state)
{
	static const uint8_t never[] = { 100, 112, 64, 65, 70, 76, 77, 78 };
	unsigned n = 0;

	(void)state;
	assert_int_equal(program_verdict_of(0), PROGRAM_DONE);
	assert_int_equal(program_verdict_of(99), PROGRAM_STOP);
	for (size_t i = 0; i < nitems(never); i++)
		assert_int_equal(program_verdict_of(never[i]), PROGRAM_NEVER);
	for (uint32_t i = 1; i < 300; i++) /* one of them is 99 */
		n += program_verdict_of(i) == PROGRAM_LATER;
	assert_int_equal(n, 299 - nitems(never) - 1);
}

static void
a_text_names_a_status_of_its_own_class_only(void **state)
{
	static const struct {
		const char *text;
		uint16_t class, status[3];
	} rows[] = { { "no (#5.2.2)", 5, { 5, 2, 2 } }, { "no (#5.2.2)", 4, { 9, 9, 9 } }, { "#5.2.2", 5, { 9, 9, 9 } },
		{ "(#x) (#4.1.1) (#5.1.1)", 5, { 5, 1, 1 } }, { "(#5.1.1234)", 5, { 9, 9, 9 } },
		{ "(#", 5, { 9, 9, 9 } }, { "", 5, { 9, 9, 9 } } };

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		uint16_t status[3] = { 9, 9, 9 };

		program_status_in(bytes_of_string(rows[i].text), rows[i].class, status);
		assert_memory_equal(status, rows[i].status, sizeof status);
	}
}

/* ---- loops ---- */

static void
a_loop_is_a_delivered_to_of_the_header_with_this_address(void **state)
{
	static const struct {
		const char *content;
		enum result r;
	} rows[] = { { "Delivered-To: joe@example.org\r\nSubject: x\r\n\r\nb\r\n", OK },
		{ "Subject: x\r\ndelivered-to:JOE@Example.org \r\n\r\n", OK },
		{ "Subject: x\r\n\r\nDelivered-To: joe@example.org\r\n", ABSENT },
		{ "Delivered-To: mojoe@example.org\r\n\r\n", ABSENT },
		{ "X-Delivered-To: joe@example.org\r\n\r\n", ABSENT }, { "Delivered-To: joe@example.org", ABSENT },
		{ "", ABSENT } };

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		int fd = memfd_create("content", MFD_CLOEXEC);
		size_t len = strlen(rows[i].content);

		assert_int_equal(pwrite(fd, rows[i].content, len, 3), len);
		assert_int_equal(header_finds_loop(fd, 3, len, BYTES("joe@example.org")), rows[i].r);
		assert_int_equal(header_finds_loop(fd, 3, len + 1, BYTES("other@example.org")),
		    strstr(rows[i].content, "\r\n\r\n") != NULL ? ABSENT : BROKEN);
		(void)close(fd);
	}
}

/* ---- an mbox ---- */

#define HEAD "From x 1\nReturn-Path: <s@x.test>\nDelivered-To: me@host.test\n"

static void
an_mbox_gets_marks_before_its_lines_and_an_empty_one_behind(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "", HEAD "\n" },
		{ "S: x\r\n\r\nFrom a\r\n>From b\r\n>>From c\r\n", HEAD "S: x\n\n>From a\n>>From b\n>>>From c\n\n" },
		{ "\r\nFrom\r\n>Fro\r\n>\r\n> From x\r\nxFrom y\r\n", HEAD "\nFrom\n>Fro\n>\n> From x\nxFrom y\n\n" },
		{ "\r\nno end", HEAD "\nno end\n\n" },
		{ "\r\n>>Fr", HEAD "\n>>Fr\n\n" },
		{ "\r\nFrom ", HEAD "\n>From \n\n" },
		{ "From a\r\n\r\n", HEAD ">From a\n\n\n" },
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		struct copy_job job = { .from_fd = memfd_create("in", MFD_CLOEXEC),
			.to_fd = memfd_create("out", MFD_CLOEXEC),
			.content_len = strlen(rows[i].in),
			.reverse_path = BYTES("s@x.test"),
			.recipient = BYTES("me@host.test"),
			.form = COPY_MBOX,
			.from_line = BYTES("From x 1\n") };
		char out[400] = "";

		assert_int_equal(pwrite(job.from_fd, rows[i].in, job.content_len, 0), job.content_len);
		assert_int_equal(copy_message(&job, NULL), OK);
		assert_true(pread(job.to_fd, out, sizeof out - 1, 0) >= 0);
		assert_string_equal(out, rows[i].out);
		(void)close(job.from_fd);
		(void)close(job.to_fd);
	}
}

static void
many_marks_in_a_line_are_all_kept(void **state)
{
	size_t n = 300000;
	char *in = malloc(n + 10), *out = malloc(n + 200);
	struct copy_job job = { .from_fd = memfd_create("in", MFD_CLOEXEC),
		.to_fd = memfd_create("out", MFD_CLOEXEC),
		.content_len = n + 2,
		.form = COPY_MBOX };
	ssize_t got;
	size_t marks = 0;

	(void)state;
	assert_true(in != NULL && out != NULL);
	memset(in, '>', n);
	memcpy(in + n, "\r\n", 2);
	assert_int_equal(pwrite(job.from_fd, in, n + 2, 0), n + 2);
	assert_int_equal(copy_message(&job, NULL), OK);
	got = pread(job.to_fd, out, n + 200, 0);
	for (ssize_t i = 0; i < got; i++)
		marks += out[i] == '>';
	assert_int_equal(marks, n + 1); /* one of Return-Path */
	(void)close(job.from_fd);
	(void)close(job.to_fd);
	free(in);
	free(out);
}

static void
the_from_line_is_one_line_whatever_the_sender(void **state)
{
	static const struct {
		const char *sender, *line;
	} rows[] = { { "", "From MAILER-DAEMON Thu Jan 01 00:00:00 1970\n" },
		{ "a b\tc\nd@x", "From a-b-c-d@x Thu Jan 01 00:00:00 1970\n" } };

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		uint8_t room[100];
		struct buf b = BUF_OVER(room);

		from_line_put(&b, bytes_of_string(rows[i].sender), 0);
		assert_string_equal(buf_string(&b), rows[i].line);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_read_as_qmail_reads_them),
		cmocka_unit_test(a_file_beyond_the_bounds_is_refused_with_a_reason),
		cmocka_unit_test(who_takes_them_may_end_the_reading),
		cmocka_unit_test(names_are_tried_from_the_whole_extension_to_default),
		cmocka_unit_test(a_name_that_is_too_long_for_a_file_says_so),
		cmocka_unit_test(an_exit_status_means_what_qmail_command_says),
		cmocka_unit_test(a_text_names_a_status_of_its_own_class_only),
		cmocka_unit_test(a_loop_is_a_delivered_to_of_the_header_with_this_address),
		cmocka_unit_test(an_mbox_gets_marks_before_its_lines_and_an_empty_one_behind),
		cmocka_unit_test(many_marks_in_a_line_are_all_kept),
		cmocka_unit_test(the_from_line_is_one_line_whatever_the_sender),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
