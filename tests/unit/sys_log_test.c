/* Tests of the log's way out: whatever becomes of the log, its writer goes on, and what was lost is counted.
 * Each runs in a child with descriptor 2 replaced; an alarm ends one that waits. */
#include "sys/log.h"
#include "sys/log_out.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define GUARD_SECONDS 20

static void
say(unsigned n)
{
	char number[16];

	while (n-- > 0) {
		(void)snprintf(number, sizeof number, "%u", n);
		log_simple(SEVERITY_INFO, "test", "n", number);
	}
}

static void
fill(int fd)
{
	static const char octets[512];
	int flags = fcntl(fd, F_GETFL);

	(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	while (write(fd, octets, sizeof octets) > 0)
		;
	(void)fcntl(fd, F_SETFL, flags);
}

static void
drain(int fd)
{
	char octets[4096];
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (poll(&p, 1, 0) == 1 && read(fd, octets, sizeof octets) > 0)
		;
}

/* Status of a child that runs `work` with `log` as its standard error and the usual signals. */
static int
status_of(void (*work)(void), int log)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		(void)signal(SIGPIPE, SIG_DFL);
		(void)signal(SIGXFSZ, SIG_DFL);
		(void)alarm(GUARD_SECONDS);
		(void)dup2(log, 2);
		log_out_open(LOG_OUT_STANDARD_ERROR);
		work();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int from; /* where what was written is read */

static bool
next_line_follows(const char *count)
{
	char text[2048];
	ssize_t n;

	drain(from);
	log_simple(SEVERITY_INFO, "after", "v", "x");
	n = read(from, text, sizeof text - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	return strstr(text, "event=log-dropped") != NULL && strstr(text, count) != NULL &&
	    strstr(text, "event=after") != NULL;
}

static void
logs_at_a_full_pipe(void)
{
	say(3);
	if (!next_line_follows("n=3\n"))
		_exit(1);
}

static void
a_reader_that_stands_still_costs_lines_and_they_are_counted(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fill(ends[1]);
	from = ends[0];
	assert_int_equal(status_of(logs_at_a_full_pipe, ends[1]), 0);
	assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0); /* others' writes wait as before */
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static void
a_socket_that_nobody_reads_costs_lines_and_they_are_counted(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	fill(ends[1]);
	from = ends[0];
	assert_int_equal(status_of(logs_at_a_full_pipe, ends[1]), 0);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static void
logs_in_a_child(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		say(2);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status != 0 || !next_line_follows("n=2\n"))
		_exit(1);
}

static void
what_a_session_could_not_log_its_zygote_counts(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fill(ends[1]);
	from = ends[0];
	assert_int_equal(status_of(logs_in_a_child, ends[1]), 0);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static void
logs_without_the_right_to_open(void)
{
	if (setresuid(65534, 65534, 65534) != 0)
		_exit(2);
	log_out_open(LOG_OUT_STANDARD_ERROR);
	logs_at_a_full_pipe();
}

static void
a_pipe_that_can_not_be_opened_again_makes_nobody_wait(void **state)
{
	int ends[2];

	(void)state;
	if (geteuid() != 0)
		return;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fill(ends[1]);
	from = ends[0];
	assert_int_equal(status_of(logs_without_the_right_to_open, ends[1]), 0);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static void
logs_three_lines(void)
{
	say(3);
}

static void
nobody_dies_when_the_reader_of_the_log_is_gone(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	(void)close(ends[0]);
	assert_int_equal(status_of(logs_three_lines, ends[1]), 0);
	(void)close(ends[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	(void)close(ends[0]);
	assert_int_equal(status_of(logs_three_lines, ends[1]), 0);
	(void)close(ends[1]);
}

static void
logs_beyond_its_limit(void)
{
	static const struct rlimit small = { 10, 10 };

	if (setrlimit(RLIMIT_FSIZE, &small) != 0)
		_exit(2);
	say(3);
}

static void
nobody_dies_of_a_log_file_beyond_its_limit(void **state)
{
	char name[] = "/tmp/pn.log.XXXXXX";
	int fd = mkostemp(name, O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	(void)unlink(name);
	assert_int_equal(status_of(logs_beyond_its_limit, fd), 0);
	(void)close(fd);
}

static void
logs_on_a_full_disk(void)
{
	say(3);
	if (log_out_take_dropped() != 3)
		_exit(1);
}

static void
a_full_disk_costs_lines_and_they_are_counted(void **state)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(status_of(logs_on_a_full_disk, fd), 0);
	(void)close(fd);
}

static void
logs_behind_part_of_a_line(void)
{
	struct rlimit small = { 20, RLIM_INFINITY };
	char text[4096];
	ssize_t n;

	if (setrlimit(RLIMIT_FSIZE, &small) != 0)
		_exit(2);
	say(1); /* 20 octets of it are written */
	small.rlim_cur = RLIM_INFINITY;
	if (setrlimit(RLIMIT_FSIZE, &small) != 0)
		_exit(2);
	say(1);
	n = pread(2, text, sizeof text - 1, 0);
	if (n <= 21 || text[20] != '\n' || strncmp(text + 21, "process=", 8) != 0)
		_exit(1);
}

static void
a_line_behind_one_that_was_cut_off_begins_a_line(void **state)
{
	char name[] = "/tmp/pn.log.XXXXXX";
	int fd = mkostemp(name, O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	(void)unlink(name);
	assert_int_equal(status_of(logs_behind_part_of_a_line, fd), 0);
	(void)close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reader_that_stands_still_costs_lines_and_they_are_counted),
		cmocka_unit_test(a_socket_that_nobody_reads_costs_lines_and_they_are_counted),
		cmocka_unit_test(what_a_session_could_not_log_its_zygote_counts),
		cmocka_unit_test(a_pipe_that_can_not_be_opened_again_makes_nobody_wait),
		cmocka_unit_test(nobody_dies_when_the_reader_of_the_log_is_gone),
		cmocka_unit_test(nobody_dies_of_a_log_file_beyond_its_limit),
		cmocka_unit_test(a_full_disk_costs_lines_and_they_are_counted),
		cmocka_unit_test(a_line_behind_one_that_was_cut_off_begins_a_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
