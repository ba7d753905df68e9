/* Tests of daemons/local: what is written, what is refused and why.
 * In a private directory, which is the home; deliver_run runs in a child, as in life. */
#include "unit.h"

#include "failing.h"
#include "home.h"
#include "mail/copy.h"

#include "local_rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- copying ---- */

static struct bytes
all_of(int fd)
{
	static uint8_t room[1 << 20];
	ssize_t n = pread(fd, room, sizeof room - 1, 0);

	assert_true(n >= 0);
	room[n] = '\0';
	return bytes_of(room, (size_t)n);
}

#define OUR_FIELDS "Return-Path: <s@x.test>\nDelivered-To: me@host.test\nReceived: by x;\n\tMon\n"

static enum result
copied(struct bytes content, struct bytes *out)
{
	struct copy_job job = { .content_at = 5,
		.content_len = content.len,
		.reverse_path = BYTES("s@x.test"),
		.recipient = BYTES("me@host.test"),
		.trace = BYTES(TRACE) };
	static int to = -1;
	uint8_t *file = malloc(content.len + 10);
	enum result r;

	assert_non_null(file);
	memcpy(file, "head:", 5);
	memcpy(file + 5, content.at, content.len);
	memcpy(file + 5 + content.len, "notes", 5);
	job.from_fd = memory_with(bytes_of(file, content.len + 10));
	free(file);
	if (to >= 0)
		(void)close(to);
	job.to_fd = to = memory_with(BYTES_NONE);
	r = copy_message(&job, NULL);
	(void)close(job.from_fd);
	*out = all_of(to);
	return r;
}

static void
only_line_ends_change(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "", "" },
		{ "A: b\r\n\r\nbody\r\n", "A: b\n\nbody\n" },
		{ "\r\nDelivered-To: me@host.test\r\n", "\nDelivered-To: me@host.test\n" },
		{ "\r\na\rb\r\r\nc\r", "\na\rb\r\nc\r" },
		{ "no end", "no end" },
		{ "Delivered-To: you@host.test\r\n\r\n", "Delivered-To: you@host.test\n\n" },
		{ "X-Delivered-To: me@host.test\r\n\r\n", "X-Delivered-To: me@host.test\n\n" },
		{ "\r\nFrom x\r\n.\r\n", "\nFrom x\n.\n" },
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct bytes out;

		assert_int_equal(copied(bytes_of_string(cases[i].in), &out), OK);
		assert_memory_equal(out.at, OUR_FIELDS, strlen(OUR_FIELDS));
		assert_string_equal((const char *)out.at + strlen(OUR_FIELDS), cases[i].out);
	}
}

static void
a_loop_is_seen_in_the_header(void **state)
{
	static const char *const loops[] = { "Delivered-To: me@host.test\r\n\r\n",
		"A: b\r\ndelivered-to:ME@HOST.test  \r\n\r\nx",
		"Delivered-To: you@host.test\r\nDelivered-To:\tme@host.test\r\n" };

	(void)state;
	for (size_t i = 0; i < nitems(loops); i++) {
		struct bytes out;

		assert_int_equal(copied(bytes_of_string(loops[i]), &out), REFUSED);
	}
}

/* The pieces in which a file is read end inside of CRLF and of Delivered-To. */
static void
large_messages_are_whole_at_every_seam(void **state)
{
	static uint8_t text[140000];
	struct bytes out;

	(void)state;
	for (size_t shift = 0; shift < 4; shift++) {
		size_t n = shift, lf = shift;

		memset(text, 'x', shift);
		while (n + 20 < sizeof text) {
			memcpy(text + n, "\r\nX: 5\r\n", 8);
			n += 8;
			lf += 6;
		}
		assert_int_equal(copied(bytes_of(text, n), &out), OK);
		assert_int_equal(out.len, strlen(OUR_FIELDS) + lf);
		assert_null(memchr(out.at, '\r', out.len));
	}
	for (size_t at = 65536 - 30; at < 65536 + 2; at++) {
		memset(text, 'x', at);
		memcpy(text, "A: ", 3);
		memcpy(text + at, "\r\nDelivered-To: me@host.test\r\n\r\n", 32);
		assert_int_equal(copied(bytes_of(text, at + 32), &out), REFUSED);
	}
}

static void
a_file_that_ends_early_is_not_delivered_short(void **state)
{
	struct copy_job job = { .content_len = 100, .trace = BYTES(TRACE), .to_fd = memory_with(BYTES_NONE) };

	(void)state;
	job.from_fd = memory_with(BYTES("only this"));
	assert_int_equal(copy_message(&job, NULL), BROKEN);
	(void)close(job.from_fd);
	(void)close(job.to_fd);
}

static void
a_full_disk_is_said_to_be_one(void **state)
{
	struct copy_job job = {
		.content_len = 9, .trace = BYTES(TRACE), .to_fd = open("/dev/full", O_WRONLY | O_CLOEXEC)
	};

	(void)state;
	job.from_fd = memory_with(BYTES("\r\ncontent"));
	assert_int_equal(copy_message(&job, NULL), EXHAUSTED);
	(void)close(job.from_fd);
	(void)close(job.to_fd);
}

/* ---- whole runs ---- */

static void
every_message_of_a_group_is_answered_and_there(void **state)
{
	struct run r = begin_run();
	bool seen[100] = { false };
	uint64_t ref;

	(void)state;
	for (uint32_t i = 0; i < 100; i += 20) {
		for (uint32_t k = i; k < i + 20; k++)
			send_one(&r, k, k % 3 == 0 ? "run/one" : "run/two/", "me@host.test");
		for (uint32_t k = i; k < i + 20; k++) {
			assert_int_equal(answer_of(&r, &ref), 200);
			assert_true(ref < 100 && !seen[ref]);
			seen[ref] = true;
		}
	}
	assert_int_equal(end_run(&r), 0);
	assert_int_equal(count_files("run/one/new"), 34);
	assert_int_equal(count_files("run/two/new"), 66);
	assert_int_equal(count_files("run/two/tmp"), 0);
}

static void
a_crowd_of_maildirs_is_served_at_once(void **state)
{
	struct run r = begin_run();
	char maildir[20];
	uint64_t ref;

	(void)state;
	for (uint32_t i = 0; i < 160; i += 32) {
		for (uint32_t k = i; k < i + 32; k++) {
			(void)snprintf(maildir, sizeof maildir, "many%u", k * 3 % 50);
			send_one(&r, k, maildir, "me@host.test");
		}
		for (uint32_t k = 0; k < 32; k++)
			assert_int_equal(answer_of(&r, &ref), 200);
	}
	for (uint32_t i = 0; i < 50; i++) {
		(void)snprintf(maildir, sizeof maildir, "many%u/new", i);
		assert_in_range(count_files(maildir), 3, 4);
	}
	assert_int_equal(end_run(&r), 0);
}

static void
an_unsafe_home_defers(void **state)
{
	static const mode_t modes[] = { 01700, 0720, 0702 };

	(void)state;
	for (size_t i = 0; i < nitems(modes); i++) {
		struct run r = begin_run();

		assert_int_equal(chmod(".", modes[i]), 0);
		assert_int_equal(deliver_one(&r, "unsafe"), 470);
		assert_int_equal(chmod(".", 0700), 0);
		assert_int_equal(deliver_one(&r, "unsafe"), 200);
		assert_int_equal(end_run(&r), 0);
	}
}

static void
a_maildir_that_was_moved_is_found_again(void **state)
{
	struct run r = begin_run();

	(void)state;
	assert_int_equal(deliver_one(&r, "moved"), 200);
	remove_tree("moved");
	assert_int_equal(deliver_one(&r, "moved"), 421); /* the directory that it knows is gone */
	assert_int_equal(deliver_one(&r, "moved"), 200);
	assert_int_equal(count_files("moved/new"), 1);
	assert_int_equal(end_run(&r), 0);
}

static void
what_fails_leaves_the_others_alone(void **state)
{
	struct run r = begin_run();

	(void)state;
	assert_int_equal(deliver_one(&r, "../out"), 421);
	assert_int_equal(deliver_one(&r, "/etc"), 421);
	assert_int_equal(deliver_one(&r, "others"), 200);
	assert_int_equal(end_run(&r), 0);
	assert_int_equal(count_files("others/new"), 1);
}

#define STORED OUR_FIELDS "A: b\n\nbody\n"

static void
must_be_whole(const char *maildir)
{
	char path[600], octets[600];
	DIR *d;

	(void)snprintf(path, sizeof path, "%s/new", maildir);
	if ((d = opendir(path)) == NULL)
		return;
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		FILE *f;

		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof path, "%s/new/%s", maildir, e->d_name);
		f = fopen(path, "r");
		assert_non_null(f);
		assert_int_equal(fread(octets, 1, sizeof octets, f), sizeof STORED - 1);
		assert_memory_equal(octets, STORED, sizeof STORED - 1);
		(void)fclose(f);
	}
	(void)closedir(d);
}

static size_t
files_of(const char *maildir, const char *part)
{
	char path[100];

	(void)snprintf(path, sizeof path, "%s/%s", maildir, part);
	return access(path, F_OK) == 0 ? count_files(path) : 0;
}

/* Three messages for two Maildirs, of which one is there, while the n-th call fails; how many are said to be delivered. */
static size_t
deliver_three(unsigned n)
{
	static const char *const to[] = { "faults/there", "faults/made", "faults/there" };
	size_t said[2] = { files_of(to[0], "new"), files_of(to[1], "new") }, delivered = 0;
	struct run r;
	uint64_t ref;

	fault.n = n;
	r = begin_run();
	fault.n = 0;
	for (uint32_t i = 0; i < nitems(to); i++)
		send_one(&r, i, to[i], "me@host.test");
	for (uint32_t i = 0; i < nitems(to); i++) {
		unsigned status = answer_of(&r, &ref);

		assert_true(status == 200 || status / 100 == 4);
		delivered += status == 200;
		said[ref % 2] += status == 200;
	}
	assert_int_equal(end_run(&r), 0);
	assert_true(files_of(to[0], "new") >= said[0] && files_of(to[1], "new") >= said[1]);
	must_be_whole(to[0]);
	must_be_whole(to[1]);
	return delivered;
}

static void
make_there(void)
{
	struct run r = begin_run();

	assert_int_equal(deliver_one(&r, "faults/there"), 200);
	assert_int_equal(end_run(&r), 0);
}

/* For every n until none fails: what is said to be there is there, whole; nothing half-made stays; and the next try succeeds. */
static unsigned
fail_each(enum failing_call call, int error)
{
	fail_calls_of_children();
	fault.call = call;
	fault.error = error;
	for (unsigned n = 1;; n++) {
		size_t delivered;

		remove_tree("faults");
		make_there();
		delivered = deliver_three(n);
		if (!call_failed()) {
			assert_int_equal(delivered, 3);
			return n - 1;
		}
		if (call != FAIL_SYNCFS &&
		    call != FAIL_OPENAT) /* file by file then; or it was only a look for old files */
			assert_in_range(delivered, 0, 2);
		assert_int_equal(files_of("faults/there", "tmp") + files_of("faults/made", "tmp"), 0);
		assert_int_equal(deliver_three(0), 3);
	}
}

static void
whatever_fails_nothing_is_said_to_be_delivered_that_is_not(void **state)
{
	static const struct {
		enum failing_call call;
		unsigned least;
		bool singly;
	} calls[] = {
		{ FAIL_WRITE, 3, false },
		{ FAIL_PREAD, 3, false },
		{ FAIL_OPENAT, 3, false },
		{ FAIL_MKDIRAT, 4, false },
		{ FAIL_RENAMEAT2, 3, false },
		{ FAIL_SYNCFS, 1, false },
		{ FAIL_SYNC_FILE_RANGE, 3, false },
		{ FAIL_FSYNC, 2, false },
		{ FAIL_FSYNC, 5, true },
		{ FAIL_SYSCALL, 4, false },
	};

	(void)state;
	for (size_t i = 0; i < nitems(calls); i++) {
		fault.singly = calls[i].singly;
		assert_in_range(fail_each(calls[i].call, EIO), calls[i].least, 100);
		assert_in_range(fail_each(calls[i].call, ENOSPC), calls[i].least, 100);
	}
	fault.singly = false;
}

static void
nonsense_ends_the_run_with_an_error(void **state)
{
	struct run r = begin_run();
	struct sd_deliver body = { .id = "0123456789" };
	int fd = memory_with(BYTES("x"));

	(void)state;
	assert_int_equal(channel_send(&r.local, SD_DELIVER, 1, &body, BYTES("\1\0x"), &fd, NULL), OK);
	(void)close(fd);
	assert_int_not_equal(end_run(&r), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_line_ends_change),
		cmocka_unit_test(a_loop_is_seen_in_the_header),
		cmocka_unit_test(large_messages_are_whole_at_every_seam),
		cmocka_unit_test(a_file_that_ends_early_is_not_delivered_short),
		cmocka_unit_test(a_full_disk_is_said_to_be_one),
		cmocka_unit_test(every_message_of_a_group_is_answered_and_there),
		cmocka_unit_test(a_crowd_of_maildirs_is_served_at_once),
		cmocka_unit_test(an_unsafe_home_defers),
		cmocka_unit_test(a_maildir_that_was_moved_is_found_again),
		cmocka_unit_test(what_fails_leaves_the_others_alone),
		cmocka_unit_test(whatever_fails_nothing_is_said_to_be_delivered_that_is_not),
		cmocka_unit_test(nonsense_ends_the_run_with_an_error),
	};

	return cmocka_run_group_tests(tests, enter_home, leave_home);
}
