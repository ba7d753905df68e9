/* Tests of what daemons/local says about a delivery that fails: why, and where. */
#include "unit.h"

#include "home.h"
#include "local_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
make_odd_maildirs(void)
{
	static const char *const made[] = { "odd", "odd/nonew", "odd/nonew/tmp", "odd/filed", "odd/filed/tmp",
		"odd/linked", "odd/linked/tmp", "odd/shut", "real", "real/tmp", "real/new", "real/cur" };
	int fd;

	for (size_t i = 0; i < nitems(made); i++)
		assert_int_equal(mkdir(made[i], 0700), 0);
	fd = open("odd/file", O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(link("odd/file", "odd/filed/new"), 0);
	assert_int_equal(symlink("/tmp", "odd/out"), 0);
	assert_int_equal(symlink("../../..", "odd/up"), 0);
	assert_int_equal(symlink("nowhere", "odd/dangling"), 0);
	assert_int_equal(symlink("../../real/new", "odd/linked/new"), 0);
	assert_int_equal(symlink("../real", "odd/inside"), 0);
}

static void
every_failure_says_why_and_where(void **state)
{
	static const struct {
		const char *maildir, *said;
		uint32_t flags;
		unsigned status;
	} cases[] = {
		{ "odd/file", "odd/file is no directory", SD_MAKE_MAILDIR, 421 },
		{ "odd/file/deeper", "odd/file/deeper is no directory", SD_MAKE_MAILDIR, 421 },
		{ "odd/out", "odd/out leads out of the home directory", SD_MAKE_MAILDIR, 421 },
		{ "odd/out/Maildir", "odd/out/Maildir leads out of the home directory", SD_MAKE_MAILDIR, 421 },
		{ "odd/up", "odd/up leads out of the home directory", SD_MAKE_MAILDIR, 421 },
		{ "odd/dangling", "odd/dangling is a symbolic link to something that is not there", SD_MAKE_MAILDIR,
		    421 },
		{ "odd/filed", "in odd/filed: new is no directory", SD_MAKE_MAILDIR, 421 },
		{ "odd/linked", "in odd/linked: new is a symbolic link", SD_MAKE_MAILDIR, 421 },
		{ "odd/nonew", "in odd/nonew: opening new: No such file or directory", 0, 421 },
		{ "odd/missing", "opening odd/missing: No such file or directory", 0, 421 },
		{ "odd/inside", "delivered", 0, 200 },
		{ "odd/nonew", "delivered", SD_MAKE_MAILDIR, 200 },
		{ "odd/made/below", "delivered", SD_MAKE_MAILDIR, 200 },
	};

	(void)state;
	make_odd_maildirs();
	for (size_t i = 0; i < nitems(cases); i++) {
		struct run r = begin_run();
		unsigned status;

		next_flags = cases[i].flags;
		status = deliver_one(&r, cases[i].maildir);
		next_flags = SD_MAKE_MAILDIR;
		if (status != cases[i].status || strncmp(told, cases[i].said, strlen(cases[i].said)) != 0)
			fail_msg("%s: %u, \"%s\"", cases[i].maildir, status, told);
		assert_int_equal(end_run(&r), 0);
	}
	assert_int_equal(count_files("real/new"), 1);
}

static void
a_maildir_of_another_user_is_named_with_its_owner(void **state)
{
	struct run r;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(mkdir("others-own", 0700), 0);
	assert_int_equal(chown("others-own", 4100099, 4100099), 0);
	r = begin_run();
	assert_int_equal(deliver_one(&r, "others-own"), 421);
	assert_non_null(strstr(told, "others-own belongs to uid 4100099"));
	assert_int_equal(end_run(&r), 0);
}

static void
a_full_disk_is_said_with_its_maildir(void **state)
{
	struct run r = begin_run();

	(void)state;
	assert_int_equal(deliver_one(&r, "full"), 200);
	assert_int_equal(end_run(&r), 0);
	fault.call = FAIL_FSYNC;
	fault.n = 1;
	fault.error = EDQUOT;
	fault.singly = true;
	r = begin_run();
	memset(&fault, 0, sizeof fault);
	assert_int_equal(deliver_one(&r, "full"), 422);
	assert_non_null(strstr(told, "Disk quota exceeded"));
	assert_non_null(strstr(told, "(in full)"));
	assert_int_equal(end_run(&r), 0);
}

static void
a_home_that_can_not_be_used_is_the_reason_for_each_delivery(void **state)
{
	struct run r;

	(void)state;
	(void)!why_set(&away, REFUSED, "the home directory /home/eve can't be used: Permission denied");
	r = begin_run();
	away = WHY_NONE;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(deliver_one(&r, "homeless"), 470);
		assert_string_equal(told, "the home directory /home/eve can't be used: Permission denied");
	}
	assert_int_equal(end_run(&r), 0);
	assert_int_equal(access("homeless", F_OK), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_failure_says_why_and_where),
		cmocka_unit_test(a_maildir_of_another_user_is_named_with_its_owner),
		cmocka_unit_test(a_full_disk_is_said_with_its_maildir),
		cmocka_unit_test(a_home_that_can_not_be_used_is_the_reason_for_each_delivery),
	};

	return cmocka_run_group_tests(tests, enter_home, leave_home);
}
