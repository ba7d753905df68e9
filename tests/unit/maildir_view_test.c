/* Tests of lib/mail/maildir_view and maildir_sizes: what a reader sees of a Maildir, in a private directory. */
#include "unit.h"

#include "failing.h"
#include "home.h"
#include "mail/maildir_view.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	(void)close(fd);
}

static int
fresh(void **state)
{
	(void)state;
	remove_tree("m");
	return mkdir("m", 0700) != 0 || chdir("m") != 0 || mkdir("cur", 0700) != 0 || mkdir("new", 0700) != 0 ||
	    mkdir("tmp", 0700) != 0;
}

static int
leave(void **state)
{
	(void)state;
	return chdir("..");
}

static struct maildir_view
view(void)
{
	struct maildir_view v;
	struct why why = WHY_NONE;

	if (maildir_view_open(&v, &why) != OK)
		fail_msg("%s", why.text);
	return v;
}

static void
assert_unique(const struct maildir_view *v, uint32_t i, const char *should)
{
	struct bytes is = maildir_view_unique(v, i);

	assert_true(i < v->n);
	if (!bytes_equal(is, bytes_of_string(should)))
		fail_msg("'%.*s' instead of '%s'", (int)is.len, (const char *)is.at, should);
}

static void
messages_come_in_the_order_of_their_delivery(void **state)
{
	struct maildir_view v;

	(void)state;
	put("new/1000.b.host", "");
	put("cur/999.x.host:2,S", "");
	put("cur/1000.a.host:2,", "");
	put("new/word", "");
	put("cur/99999999999999999999999.x", "");
	put("new/.hidden", "");
	v = view();
	assert_int_equal(v.n, 5);
	assert_unique(&v, 0, "99999999999999999999999.x");
	assert_unique(&v, 1, "word");
	assert_unique(&v, 2, "999.x.host");
	assert_unique(&v, 3, "1000.a.host");
	assert_unique(&v, 4, "1000.b.host");
	assert_int_equal(v.messages[4].place, MAILDIR_NEW);
	assert_int_equal(v.messages[3].place, MAILDIR_CUR);
	maildir_view_close(&v);
}

static void
only_files_are_messages(void **state)
{
	struct maildir_view v;

	(void)state;
	assert_int_equal(mkdir("cur/1.directory", 0700), 0);
	assert_int_equal(symlink("/etc/passwd", "cur/2.link"), 0);
	assert_int_equal(mkfifo("new/3.fifo", 0600), 0);
	put("new/4.file", "");
	v = view();
	assert_int_equal(v.n, 1);
	assert_unique(&v, 0, "4.file");
	maildir_view_close(&v);
}

static void
a_link_put_in_a_messages_place_is_not_followed(void **state)
{
	struct maildir_view v;
	struct why why = WHY_NONE;
	int fd;

	(void)state;
	put("new/1.a", "");
	put("new/2.b", "");
	v = view();
	assert_int_equal(unlink("new/1.a"), 0);
	assert_int_equal(symlink("/etc/passwd", "new/1.a"), 0);
	assert_int_equal(maildir_view_read(&v, 0, &fd, &why), REFUSED);
	assert_int_equal(unlink("new/2.b"), 0);
	assert_int_equal(mkfifo("new/2.b", 0600), 0);
	assert_int_equal(maildir_view_read(&v, 1, &fd, &why), REFUSED);
	assert_int_equal(fd, -1);
	maildir_view_close(&v);
}

static void
a_directory_that_is_a_link_is_no_part_of_a_maildir(void **state)
{
	struct maildir_view v;
	struct why why = WHY_NONE;

	(void)state;
	assert_int_equal(rmdir("cur"), 0);
	assert_int_equal(symlink("/etc", "cur"), 0);
	assert_int_equal(maildir_view_open(&v, &why), REFUSED);
	assert_string_equal(why.text, "cur is a symbolic link; expected a directory");
	assert_int_equal(v.top_fd, -1);
}

static void
missing_parts_are_made(void **state)
{
	struct maildir_view v;

	(void)state;
	assert_int_equal(rmdir("cur"), 0);
	assert_int_equal(rmdir("new"), 0);
	assert_int_equal(rmdir("tmp"), 0);
	v = view();
	assert_int_equal(v.n, 0);
	maildir_view_close(&v);
	assert_int_equal(access("cur", F_OK) + access("new", F_OK) + access("tmp", F_OK), 0);
}

static void
ids_are_the_unique_names_or_hashes_of_them(void **state)
{
	char name[100] = "new/4.";
	uint8_t room[MAILDIR_UID_MAX], other[MAILDIR_UID_MAX];
	struct maildir_view v;
	struct bytes a, b;

	(void)state;
	put("cur/1.a:2,RS", "");
	put("cur/2.with blank:2,", "");
	put("new/3.with blank", "");
	memset(name + 6, 'x', 69);
	put(name, "");
	v = view();
	assert_int_equal(v.n, 4);
	assert_true(bytes_equal(maildir_view_uid(&v, 0, room), BYTES("1.a")));
	a = maildir_view_uid(&v, 1, room);
	b = maildir_view_uid(&v, 2, other);
	assert_int_equal(a.len, 32);
	assert_false(bytes_equal(a, b));
	assert_int_equal(maildir_view_uid(&v, 3, room).len, 32);
	maildir_view_close(&v);
}

static void
a_message_that_was_moved_or_marked_is_found(void **state)
{
	struct maildir_view v;
	struct why why = WHY_NONE;
	int fd;

	(void)state;
	put("new/1.a", "one");
	put("cur/2.b:2,", "two");
	put("cur/3.c:2,", "three");
	v = view();
	assert_int_equal(rename("new/1.a", "cur/1.a:2,S"), 0);
	assert_int_equal(rename("cur/2.b:2,", "cur/2.b:2,RS"), 0);
	assert_int_equal(unlink("cur/3.c:2,"), 0);
	put("new/0.late", "");
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(maildir_view_read(&v, i, &fd, &why), OK);
		(void)close(fd);
	}
	assert_int_equal(maildir_view_read(&v, 2, &fd, &why), ABSENT);
	assert_true(v.messages[2].gone);
	assert_unique(&v, 2, "3.c");
	assert_int_equal(v.n, 3);
	assert_int_equal(maildir_view_read(&v, 2, &fd, &why), ABSENT);
	maildir_view_close(&v);
}

static void
only_what_was_shown_is_removed(void **state)
{
	struct maildir_view v;
	struct why why = WHY_NONE;

	(void)state;
	put("new/1.a", "");
	put("new/2.b", "");
	put("new/3.c", "");
	v = view();
	assert_int_equal(rename("new/1.a", "cur/1.a:2,S"), 0);
	assert_int_equal(unlink("new/2.b"), 0);
	put("new/1.ab", "");
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(maildir_view_remove(&v, i, &why), OK);
	maildir_view_close(&v);
	assert_int_equal(count_files("cur"), 0);
	assert_int_equal(count_files("new"), 1);
	assert_int_equal(access("new/1.ab", F_OK), 0);
}

static void
what_was_shown_moves_to_cur_and_replaces_nothing(void **state)
{
	struct maildir_view v;
	struct why why = WHY_NONE;

	(void)state;
	put("new/1.a", "mine");
	put("new/2.b:1,x", "");
	put("new/3.c", "");
	v = view();
	put("cur/1.a:2,", "another's");
	assert_int_equal(unlink("new/3.c"), 0);
	assert_int_equal(maildir_view_settle(&v, 0, &why), BROKEN);
	assert_int_equal(maildir_view_settle(&v, 1, &why), OK);
	assert_int_equal(maildir_view_settle(&v, 2, &why), OK);
	maildir_view_close(&v);
	assert_int_equal(access("cur/2.b:2,", F_OK), 0);
	assert_int_equal(access("new/1.a", F_OK), 0);
}

static void
a_message_seen_in_both_places_is_one(void **state)
{
	struct maildir_view v;

	(void)state;
	put("new/1.a", "");
	put("cur/1.a:2,S", "");
	v = view();
	assert_int_equal(v.n, 1);
	assert_int_equal(v.messages[0].place, MAILDIR_CUR);
	maildir_view_close(&v);
}

/* ---- sizes ---- */

static void
sizes_are_kept(void **state)
{
	struct maildir_view v;
	struct why why = WHY_NONE;

	(void)state;
	put("new/1.a", "a\nb\n");
	put("cur/2.with blank", "x");
	put("cur/3.c:2,S", "c\r\n");
	v = view();
	maildir_sizes_load(&v);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(v.messages[i].octets, MAILDIR_UNMEASURED);
		assert_int_equal(maildir_sizes_measure(&v, i, -1, &why), OK);
	}
	assert_int_equal(v.messages[0].octets, 6);
	assert_int_equal(v.messages[1].octets, 3);
	assert_int_equal(v.messages[2].octets, 3);
	maildir_sizes_save(&v);
	maildir_view_close(&v);
	assert_int_equal(count_files("tmp"), 0);
	assert_int_equal(rename("new/1.a", "cur/1.a:2,"), 0);
	put("new/0.first", "");
	v = view();
	maildir_sizes_load(&v);
	assert_int_equal(v.messages[0].octets, MAILDIR_UNMEASURED);
	assert_int_equal(v.messages[1].octets, 6);
	assert_int_equal(v.messages[2].octets, MAILDIR_UNMEASURED); /* its name can't be in a line */
	assert_int_equal(v.messages[3].octets, 3);
	assert_int_equal(v.messages[3].file_octets, 3);
	assert_false(v.measured);
	maildir_view_close(&v);
}

static void
a_size_of_another_file_is_found_anew(void **state)
{
	struct maildir_view v;
	struct why why = WHY_NONE;
	int fd;

	(void)state;
	put("new/1.a", "long\n");
	put(MAILDIR_SIZES, MAILDIR_SIZES " 1\n1.a 3 4\n");
	v = view();
	maildir_sizes_load(&v);
	assert_int_equal(v.messages[0].octets, 4);
	assert_int_equal(maildir_sizes_measure(&v, 0, -1, &why), OK);
	assert_int_equal(v.messages[0].octets, 4);
	assert_int_equal(maildir_view_read(&v, 0, &fd, &why), OK);
	assert_int_equal(maildir_sizes_measure(&v, 0, fd, &why), OK);
	assert_int_equal(v.messages[0].octets, 6);
	assert_true(v.measured);
	(void)close(fd);
	maildir_view_close(&v);
}

static void
a_file_of_sizes_that_makes_no_sense_is_ignored(void **state)
{
	static const char first[] = MAILDIR_SIZES " 1\n";
	static const struct {
		const char *lines;
		uint64_t a, b;
	} rows[] = {
		{ "", MAILDIR_UNMEASURED, MAILDIR_UNMEASURED },
		{ "1.a 1 2\n2.b 3 4\n", 2, 4 },
		{ "1.a 1 2\n2.b 3 4", 2, 4 },
		{ "2.b 3 4\n1.a 1 2\n", MAILDIR_UNMEASURED, 4 },
		{ "1.a 1 2 \n2.b 3\n", MAILDIR_UNMEASURED, MAILDIR_UNMEASURED },
		{ "\n \n1.a 1 2\n1.a 5 6\nx\n2.b 3 4\n", 2, 4 },
		{ "1.a -1 2\n2.b 3 99999999999999999999\n", MAILDIR_UNMEASURED, MAILDIR_UNMEASURED },
		{ "1.a 1 2\r\n2.b 3 4\n", MAILDIR_UNMEASURED, 4 },
		{ "1 1 2\n1.aa 1 2\n1.b 7 7\n3 3 3\n", MAILDIR_UNMEASURED, MAILDIR_UNMEASURED },
	};
	struct maildir_view v;

	(void)state;
	put("new/1.a", "");
	put("new/2.b", "");
	for (size_t i = 0; i < nitems(rows); i++) {
		char text[200];

		(void)snprintf(text, sizeof text, "%s%s", first, rows[i].lines);
		put(MAILDIR_SIZES, text);
		v = view();
		maildir_sizes_load(&v);
		if (v.messages[0].octets != rows[i].a || v.messages[1].octets != rows[i].b)
			fail_msg(
			    "row %zu: %lld %lld", i, (long long)v.messages[0].octets, (long long)v.messages[1].octets);
		maildir_view_close(&v);
	}
	put(MAILDIR_SIZES, "another 1\n1.a 1 2\n");
	v = view();
	maildir_sizes_load(&v);
	assert_int_equal(v.messages[0].octets, MAILDIR_UNMEASURED);
	maildir_view_close(&v);
	assert_int_equal(unlink(MAILDIR_SIZES), 0);
	assert_int_equal(symlink("/etc/passwd", MAILDIR_SIZES), 0);
	v = view();
	maildir_sizes_load(&v);
	assert_int_equal(v.messages[0].octets, MAILDIR_UNMEASURED);
	maildir_view_close(&v);
}

static void
without_memory_nothing_is_shown_and_nothing_is_lost(void **state)
{
	struct why why;
	struct maildir_view v;
	unsigned n = 0;
	char name[40];
	int fd;

	(void)state;
	for (int i = 0; i < 300; i++) {
		(void)snprintf(name, sizeof name, "new/%d.x", 1000 + i);
		put(name, "x\n");
	}
	do {
		enum result r;

		why = WHY_NONE;
		fail_allocation(++n);
		r = maildir_view_open(&v, &why);
		if (allocation_failed())
			assert_true(r != OK && v.n == 0 && v.top_fd == -1);
		else
			break;
	} while (n < 100);
	assert_int_equal(v.n, 300);
	assert_int_equal(unlink("new/1000.x"), 0);
	assert_int_equal(rename("new/1001.x", "cur/1001.x:2,S"), 0);
	for (n = 1;; n++) {
		enum result r;

		why = WHY_NONE;
		fail_allocation(n);
		r = maildir_view_read(&v, 0, &fd, &why);
		if (!allocation_failed()) {
			assert_int_equal(r, ABSENT);
			break;
		}
		assert_true(r == EXHAUSTED);
		assert_unique(&v, 1, "1001.x");
		assert_false(v.messages[0].gone);
	}
	assert_int_equal(v.messages[1].place, MAILDIR_CUR);
	maildir_view_close(&v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, leave)
		TEST(messages_come_in_the_order_of_their_delivery),
		TEST(only_files_are_messages),
		TEST(a_link_put_in_a_messages_place_is_not_followed),
		TEST(a_directory_that_is_a_link_is_no_part_of_a_maildir),
		TEST(missing_parts_are_made),
		TEST(ids_are_the_unique_names_or_hashes_of_them),
		TEST(a_message_that_was_moved_or_marked_is_found),
		TEST(only_what_was_shown_is_removed),
		TEST(what_was_shown_moves_to_cur_and_replaces_nothing),
		TEST(a_message_seen_in_both_places_is_one),
		TEST(sizes_are_kept),
		TEST(a_size_of_another_file_is_found_anew),
		TEST(a_file_of_sizes_that_makes_no_sense_is_ignored),
		TEST(without_memory_nothing_is_shown_and_nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, enter_home, leave_home);
}
