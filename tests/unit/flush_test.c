/* Tests of lib/sys/flush: everything submitted comes back once, in groups or not; a failure is a failure.
 * Flushes real files in a private directory. */
#include "failing.h"
#include "unit.h"

#include "sys/clock.h"
#include "sys/flush.h"
#include "sys/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define N 200

struct thing {
	struct flush_job job;
	unsigned done;
};

struct room {
	char path[64];
	int dir;
};

static struct room
make_room(void)
{
	struct room r;
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(r.path, sizeof r.path, "%.40s/flush.XXXXXX", tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(r.path));
	r.dir = open(r.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(r.dir >= 0);
	return r;
}

static void
leave_room(struct room *r)
{
	(void)close(r->dir);
	assert_int_equal(rmdir(r->path), 0);
}

static unsigned
gather(struct flush *f, unsigned n)
{
	unsigned got = 0;

	while (got < n) {
		struct pollfd p = { .fd = flush_fd(f), .events = POLLIN };

		assert_int_equal(poll(&p, 1, 10000), 1);
		for (struct flush_job *j = flush_collect(f), *next; j != NULL; j = next) {
			next = j->next;
			container_of(j, struct thing, job)->done++;
			got++;
		}
	}
	return got;
}

static void
submit_in_chains(struct flush *f, struct thing *things, unsigned n, unsigned length)
{
	struct flush_job *chain = NULL;

	for (unsigned i = 0; i < n; i++) {
		things[i].job.next = chain;
		chain = &things[i].job;
		if (i % length == length - 1 || i + 1 == n) {
			flush_submit(f, chain);
			chain = NULL;
		}
	}
}

static void
run_all(bool groups, unsigned threads)
{
	static struct thing things[N];
	struct room room = make_room();
	struct why why = WHY_NONE;
	struct flush f;

	assert_int_equal(flush_open(&f, threads, groups ? room.dir : -1, &why), OK);
	for (unsigned i = 0; i < N; i++) {
		things[i] = (struct thing){ .job = { .fd = openat(room.dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600),
						.dir_fd = room.dir } };
		assert_true(things[i].job.fd >= 0);
		assert_int_equal(write(things[i].job.fd, "x", 1), 1);
	}
	submit_in_chains(&f, things, N, 7);
	assert_int_equal(gather(&f, N), N);
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(things[i].done, 1);
		assert_int_equal(things[i].job.r, OK);
		(void)close(things[i].job.fd);
	}
	if (!groups)
		assert_int_equal(f.n_singles, N);
	assert_null(flush_collect(&f));
	flush_close(&f);
	leave_room(&room);
}

static void
everything_comes_back_once_in_groups(void **state)
{
	(void)state;
	run_all(true, 4);
}

static void
everything_comes_back_once_file_by_file(void **state)
{
	(void)state;
	run_all(false, 4);
	run_all(false, 1);
}

static void
a_flush_that_fails_is_told_and_the_others_are_not_harmed(void **state)
{
	struct thing things[3];
	struct room room = make_room();
	struct why why = WHY_NONE;
	struct flush f;
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	/* a closed group descriptor: syncfs fails, and all are asked one by one; a pipe can't be flushed */
	assert_int_equal(flush_open(&f, 2, 1000, &why), OK);
	for (unsigned i = 0; i < 3; i++)
		things[i] = (struct thing){ .job = {
						.fd = i == 1 ? ends[0] : room.dir, .dir_fd = i == 2 ? ends[1] : -1 } };
	submit_in_chains(&f, things, 3, 3);
	assert_int_equal(gather(&f, 3), 3);
	assert_int_equal(things[0].job.r, OK);
	assert_int_equal(things[1].job.r, BROKEN);
	assert_int_equal(things[1].job.error, EINVAL);
	assert_int_equal(things[2].job.r, BROKEN);
	assert_true(f.single_until_ms > 0);
	flush_close(&f);
	(void)close(ends[0]);
	(void)close(ends[1]);
	leave_room(&room);
}

static void
the_error_of_one_file_is_its_own_though_the_group_succeeds(void **state)
{
	struct thing things[3];
	struct room room = make_room();
	struct why why = WHY_NONE;
	struct flush f;

	(void)state;
	assert_int_equal(flush_open(&f, 1, room.dir, &why), OK);
	for (unsigned i = 0; i < 3; i++)
		things[i] = (struct thing){ .job = { .fd = openat(room.dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600),
						.dir_fd = -1 } };
	fail_call(FAIL_SYNC_FILE_RANGE, 2, EIO);
	submit_in_chains(&f, things, 3, 3);
	assert_int_equal(gather(&f, 3), 3);
	assert_true(call_failed());
	assert_int_equal(f.n_groups, 1);
	assert_int_equal(things[1].job.r, BROKEN);
	assert_int_equal(things[1].job.error, EIO);
	assert_int_equal(things[0].job.r, OK);
	assert_int_equal(things[2].job.r, OK);
	assert_true(f.single_until_ms > 0);
	for (unsigned i = 0; i < 3; i++)
		(void)close(things[i].job.fd);
	flush_close(&f);
	leave_room(&room);
}

static void
a_job_behind_a_slow_group_is_done_by_itself(void **state)
{
	struct thing thing;
	struct room room = make_room();
	struct why why = WHY_NONE;
	struct flush f;
	struct pollfd p;

	(void)state;
	assert_int_equal(flush_open(&f, 2, room.dir, &why), OK);
	p = (struct pollfd){ .fd = flush_fd(&f), .events = POLLIN };
	/* as if a group ran, and had just begun */
	(void)pthread_mutex_lock(&f.lock);
	f.group_runs = true;
	f.group_began_ms = clock_ms();
	(void)pthread_mutex_unlock(&f.lock);
	thing = (struct thing){ .job = { .fd = room.dir, .dir_fd = -1 } };
	flush_submit(&f, &thing.job);
	flush_poke(&f);
	assert_int_equal(poll(&p, 1, 5), 0);
	(void)pthread_mutex_lock(&f.lock);
	f.group_began_ms -= 1000;
	(void)pthread_mutex_unlock(&f.lock);
	flush_poke(&f);
	assert_int_equal(gather(&f, 1), 1);
	assert_int_equal(thing.job.r, OK);
	assert_int_equal(f.n_singles, 1);
	flush_close(&f);
	leave_room(&room);
}

static void
the_end_gives_everything_back(void **state)
{
	static struct thing things[N];
	struct room room = make_room();
	struct why why = WHY_NONE;
	struct flush f;
	unsigned got = 0;

	(void)state;
	assert_int_equal(flush_open(&f, 1, -1, &why), OK);
	for (unsigned i = 0; i < N; i++)
		things[i] = (struct thing){ .job = { .fd = room.dir, .dir_fd = -1 } };
	submit_in_chains(&f, things, N, N);
	flush_close(&f);
	for (struct flush_job *j = flush_collect(&f), *next; j != NULL; j = next, got++) {
		next = j->next;
		assert_true(j->r == OK || (j->r == BROKEN && j->error == ECANCELED));
	}
	assert_int_equal(got, N);
	leave_room(&room);
}

static void
without_threads_a_chain_is_flushed_at_once(void **state)
{
	struct thing things[3];
	struct room room = make_room();

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		things[i] = (struct thing){
			.job = { .fd = i == 1 ? -1 : room.dir, .dir_fd = -1, .next = i < 2 ? &things[i + 1].job : NULL }
		};
	flush_now(&things[0].job, true); /* not on one filesystem: one is closed */
	assert_int_equal(things[0].job.r, OK);
	assert_int_equal(things[1].job.r, BROKEN);
	assert_int_equal(things[2].job.r, OK);
	things[1].job.fd = room.dir;
	for (int groups = 0; groups < 2; groups++) {
		flush_now(&things[0].job, groups == 1);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(things[i].job.r, OK);
	}
	leave_room(&room);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_comes_back_once_in_groups),
		cmocka_unit_test(everything_comes_back_once_file_by_file),
		cmocka_unit_test(a_flush_that_fails_is_told_and_the_others_are_not_harmed),
		cmocka_unit_test(the_error_of_one_file_is_its_own_though_the_group_succeeds),
		cmocka_unit_test(a_job_behind_a_slow_group_is_done_by_itself),
		cmocka_unit_test(the_end_gives_everything_back),
		cmocka_unit_test(without_threads_a_chain_is_flushed_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
