/* Tests of lib/mail/maildir: what is a Maildir and what is not, names, what is left behind. In a private directory, which
 * is the home. */
#include "unit.h"

#include "home.h"
#include "mail/maildir.h"
#include "sys/clock.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct maildir
opened(const char *path)
{
	struct maildir d;
	struct why why = WHY_NONE;

	if (maildir_open(&d, bytes_of_string(path), true, &why) != OK)
		fail_msg("%s", why.text);
	return d;
}

static void
a_maildir_is_made_when_it_may_be(void **state)
{
	struct maildir d;
	struct stat st;

	(void)state;
	assert_int_equal(maildir_open(&d, BYTES("a/b/Maildir/"), false, NULL), ABSENT);
	assert_int_equal(maildir_open(&d, BYTES("a/b/Maildir/"), true, NULL), OK);
	maildir_close(&d);
	assert_int_equal(d.tmp_fd, -1);
	assert_int_equal(stat("a/b/Maildir/cur", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void
a_maildir_outside_the_home_is_none(void **state)
{
	static const char *const paths[] = { "", "/", "/etc", "..", "../x", "a/../../x", "link", "link/x", "file",
		"half" };

	(void)state;
	assert_int_equal(symlink("/tmp", "link"), 0);
	(void)close(open("file", O_CREAT | O_WRONLY, 0600));
	assert_int_equal(mkdir("half", 0700), 0);
	(void)close(open("half/tmp", O_CREAT | O_WRONLY, 0600));
	for (size_t i = 0; i < nitems(paths); i++) {
		struct maildir d;
		struct why why = WHY_NONE;

		if (maildir_open(&d, bytes_of_string(paths[i]), false, &why) != REFUSED)
			fail_msg("%s: %s", paths[i], why.text);
		assert_int_not_equal(why.text[0], '\0');
		assert_int_equal(d.tmp_fd, -1);
		assert_int_equal(d.new_fd, -1);
	}
	assert_int_equal(maildir_open(&(struct maildir){ 0 }, BYTES("a\0b"), true, NULL), REFUSED);
}

static void
names_are_never_the_same(void **state)
{
	struct maildir d = opened("names");
	struct maildir_delivery m[200];

	(void)state;
	for (size_t i = 0; i < nitems(m); i++) {
		assert_int_equal(maildir_begin(&d, &m[i], NULL), OK);
		assert_null(strpbrk(m[i].name, "/:"));
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(m[i].name, m[k].name);
	}
	for (size_t i = 0; i < nitems(m); i++)
		maildir_drop(&d, &m[i]);
	assert_int_equal(count_files("names/tmp"), 0);
	maildir_close(&d);
}

static void
a_delivery_never_replaces_what_is_there(void **state)
{
	struct maildir d = opened("replace");
	struct maildir_delivery m;

	(void)state;
	assert_int_equal(maildir_begin(&d, &m, NULL), OK);
	(void)close(openat(d.new_fd, m.name, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(maildir_finish(&d, &m, NULL), BROKEN);
	maildir_drop(&d, &m);
	assert_int_equal(count_files("replace/tmp"), 0);
	assert_int_equal(count_files("replace/new"), 1);
	maildir_close(&d);
}

static void
what_could_not_be_begun_drops_nothing(void **state)
{
	struct maildir d = opened("begun");
	struct maildir_delivery m = { .fd = -1 };

	(void)state;
	(void)close(openat(d.tmp_fd, "of-another", O_CREAT | O_WRONLY, 0600));
	(void)close(d.tmp_fd);
	d.tmp_fd = open("/proc/self", O_RDONLY | O_DIRECTORY);
	assert_int_not_equal(maildir_begin(&d, &m, NULL), OK);
	assert_int_equal(m.name[0], '\0');
	maildir_drop(&d, &m);
	assert_int_equal(count_files("begun/tmp"), 1);
	maildir_close(&d);
}

static void
only_old_files_of_tmp_are_cleaned_away(void **state)
{
	struct maildir d = opened("clean");
	uint64_t now = clock_wall_s();
	struct timespec old[2] = { { .tv_sec = (time_t)now - 37 * 3600 }, { .tv_sec = (time_t)now - 37 * 3600 } };

	(void)state;
	(void)close(openat(d.tmp_fd, "old", O_CREAT | O_WRONLY, 0600));
	(void)close(openat(d.tmp_fd, "fresh", O_CREAT | O_WRONLY, 0600));
	(void)close(openat(d.new_fd, "old", O_CREAT | O_WRONLY, 0600));
	assert_int_equal(mkdirat(d.tmp_fd, "directory", 0700), 0);
	assert_int_equal(utimensat(d.tmp_fd, "old", old, 0), 0);
	assert_int_equal(utimensat(d.new_fd, "old", old, 0), 0);
	assert_int_equal(utimensat(d.tmp_fd, "directory", old, 0), 0);
	maildir_clean(&d, now);
	assert_int_equal(faccessat(d.tmp_fd, "old", F_OK, 0), -1);
	assert_int_equal(faccessat(d.tmp_fd, "fresh", F_OK, 0), 0);
	assert_int_equal(faccessat(d.tmp_fd, "directory", F_OK, 0), 0);
	assert_int_equal(count_files("clean/new"), 1);
	maildir_close(&d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_maildir_is_made_when_it_may_be),
		cmocka_unit_test(a_maildir_outside_the_home_is_none),
		cmocka_unit_test(names_are_never_the_same),
		cmocka_unit_test(a_delivery_never_replaces_what_is_there),
		cmocka_unit_test(what_could_not_be_begun_drops_nothing),
		cmocka_unit_test(only_old_files_of_tmp_are_cleaned_away),
	};

	return cmocka_run_group_tests(tests, enter_home, leave_home);
}
