/* Tests of lib/sys: the event loop and its timers, the log's escaping, sealed memory files, zygotes.
 * The log is read back from a pipe put in the place of standard error.
 * Makes children, and waits for each. */
#include "unit.h"

#include "sys/clock.h"
#include "sys/fd.h"
#include "sys/log.h"
#include "sys/loop.h"
#include "sys/zygote.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct tick {
	struct timer timer;
	unsigned *order;
	unsigned seen;
};

static void
ticked(struct loop *loop, struct timer *t)
{
	struct tick *k = container_of(t, struct tick, timer);

	k->seen = ++*k->order;
	loop->stop = *k->order == 50;
}

static void
timers_run_in_order_and_cancelled_ones_never(void **state)
{
	struct tick ticks[100] = { 0 };
	unsigned order = 0;
	struct loop loop;
	struct why why = WHY_NONE;
	uint64_t now = clock_ms();

	(void)state;
	assert_int_equal(loop_open(&loop, &why), OK);
	for (unsigned i = 0; i < 100; i++) {
		ticks[i].timer.due = ticked;
		ticks[i].order = &order;
		assert_int_equal(loop_at(&loop, &ticks[i].timer, now + (i * 37) % 100), OK);
	}
	for (unsigned i = 0; i < 100; i += 2)
		loop_cancel(&loop, &ticks[i].timer);
	assert_int_equal(loop_run(&loop, &why), OK);
	assert_int_equal(order, 50);
	for (unsigned i = 0; i < 100; i++) {
		if (i % 2 == 0)
			assert_int_equal(ticks[i].seen, 0);
		for (unsigned k = 1; k < 100; k += 2)
			if (i % 2 == 1 && ticks[i].timer.at < ticks[k].timer.at)
				assert_true(ticks[i].seen < ticks[k].seen);
	}
	loop_close(&loop);
}

struct pair {
	struct source a, b;
	unsigned n;
};

static struct pair pair_of_sources;

static void
forgets_the_other(struct loop *loop, struct source *s, uint32_t events)
{
	struct pair *p = &pair_of_sources;

	(void)events;
	p->n++;
	loop_forget(loop, s == &p->a ? &p->b : &p->a);
	loop->stop = true;
}

static void
a_forgotten_source_is_not_called_even_if_it_was_ready(void **state)
{
	struct loop loop;
	struct why why = WHY_NONE;
	int one[2], two[2];

	(void)state;
	assert_int_equal(pipe2(one, O_CLOEXEC), 0);
	assert_int_equal(pipe2(two, O_CLOEXEC), 0);
	assert_int_equal(write(one[1], "x", 1), 1);
	assert_int_equal(write(two[1], "x", 1), 1);
	assert_int_equal(loop_open(&loop, &why), OK);
	pair_of_sources = (struct pair){ { one[0], forgets_the_other, 0 }, { two[0], forgets_the_other, 0 }, 0 };
	assert_int_equal(loop_watch(&loop, &pair_of_sources.a, EPOLLIN, &why), OK);
	assert_int_equal(loop_watch(&loop, &pair_of_sources.b, EPOLLIN, &why), OK);
	assert_int_equal(loop_run(&loop, &why), OK);
	assert_int_equal(pair_of_sources.n, 1);
	loop_close(&loop);
	for (int i = 0; i < 2; i++) {
		(void)close(one[i]);
		(void)close(two[i]);
	}
}

static void
logged(struct bytes value, char *into, size_t size)
{
	struct log_line l;
	int saved = dup(2), ends[2];
	ssize_t n;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(dup2(ends[1], 2), 2);
	log_begin(&l, SEVERITY_INFO, "test");
	log_bytes(&l, "v", value);
	log_end(&l);
	assert_int_equal(dup2(saved, 2), 2);
	n = read(ends[0], into, size - 1);
	assert_true(n > 0);
	into[n] = '\0';
	(void)close(saved);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static void
nothing_from_outside_forges_a_log_line(void **state)
{
	static const struct {
		struct bytes value;
		const char *seen;
	} table[] = {
		{ { (const uint8_t *)"plain", 5 }, " v=plain\n" },
		{ { (const uint8_t *)"a b", 3 }, " v=\"a b\"\n" },
		{ { (const uint8_t *)"", 0 }, " v=\"\"\n" },
		{ { (const uint8_t *)"x\nprocess=queue", 15 }, " v=\"x\\x0aprocess=queue\"\n" },
		{ { (const uint8_t *)"\x1b[2J", 4 }, " v=\"\\x1b[2J\"\n" },
		{ { (const uint8_t *)"q\"\\", 3 }, " v=\"q\\\"\\\\\"\n" },
		{ { (const uint8_t *)"\xc3\xa9", 2 }, " v=\"\xc3\xa9\"\n" },
		{ { (const uint8_t *)"\xc0\xaf\xff", 3 }, " v=\"\\xc0\\xaf\\xff\"\n" },
		{ { (const uint8_t *)"\xc2\x9b", 2 }, " v=\"\\xc2\\x9b\"\n" },
		{ { (const uint8_t *)"\0", 1 }, " v=\"\\x00\"\n" },
	};
	char line[2048];

	(void)state;
	for (size_t i = 0; i < nitems(table); i++) {
		logged(table[i].value, line, sizeof line);
		assert_non_null(strstr(line, table[i].seen));
	}
}

static void
a_long_value_is_cut_and_the_line_still_ends(void **state)
{
	static uint8_t value[5000];
	char line[4096];

	(void)state;
	memset(value, 'a', sizeof value);
	logged(bytes_of(value, sizeof value), line, sizeof line);
	assert_true(strlen(line) <= LOG_LINE_MAX);
	assert_int_equal(line[strlen(line) - 1], '\n');
}

/* A difference of two looks at the clock could be the time from the beginning of all. */
static void
what_is_left_of_a_time_is_never_more_than_it_was(void **state)
{
	uint64_t until = clock_ms() + 3, left, last = 3;

	(void)state;
	while ((left = clock_left_ms(until)) > 0) {
		assert_true(left <= last);
		last = left;
	}
	assert_int_equal(clock_left_ms(until), 0);
	assert_int_equal(clock_left_ms(clock_ms() - 1000), 0);
	assert_int_equal(clock_left_ms(0), 0);
}

static void
a_sealed_file_can_not_be_changed(void **state)
{
	struct why why = WHY_NONE;
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	assert_int_equal(fd_write_all(fd, BYTES("content")), OK);
	assert_false(fd_is_sealed(fd));
	assert_int_equal(fd_seal(fd, &why), OK);
	assert_true(fd_is_sealed(fd));
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	(void)close(fd);
}

/* the child of a zygote takes one octet from the door and ends as it says */
static void
obey(int door)
{
	char c = 'k';

	if (read(door, &c, 1) == 1 && c == 'k')
		(void)raise(SIGKILL);
	_exit(c == 'f' ? 3 : 0);
}

static void
a_zygote_is_spent_by_a_signal_but_not_by_a_failure(void **state)
{
	struct zygote z;
	struct why why = WHY_NONE;
	int ends[2], saved = dup(2), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	const char *orders = "0ff0k";
	enum result r = OK;
	sigset_t none;

	(void)state;
	assert_int_equal(dup2(null, 2), 2);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(zygote_open(&z, ends[0], 1, &why), OK);
	for (const char *o = orders; *o != '\0'; o++) {
		bool child = false;

		assert_int_equal(write(ends[1], o, 1), 1);
		r = zygote_wait(&z, &why); /* at most one child: waits for the one before */
		assert_int_equal(r, OK);
		assert_int_equal(zygote_fork(&z, &child, &why), OK);
		if (child)
			obey(ends[0]);
	}
	assert_int_equal(write(ends[1], "0", 1), 1);
	assert_int_equal(zygote_wait(&z, &why), ABSENT);
	assert_true(z.spent);
	assert_int_equal(dup2(saved, 2), 2);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGCHLD, SIG_DFL);
	(void)close(saved);
	(void)close(null);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_run_in_order_and_cancelled_ones_never),
		cmocka_unit_test(a_forgotten_source_is_not_called_even_if_it_was_ready),
		cmocka_unit_test(nothing_from_outside_forges_a_log_line),
		cmocka_unit_test(a_long_value_is_cut_and_the_line_still_ends),
		cmocka_unit_test(what_is_left_of_a_time_is_never_more_than_it_was),
		cmocka_unit_test(a_sealed_file_can_not_be_changed),
		cmocka_unit_test(a_zygote_is_spent_by_a_signal_but_not_by_a_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
