/* A pool of threads that flush.
 * Trusts the kernel that a flush which returned success is on disk; never that a failed one can be repeated: the error
 * is the job's, once and for all. Never that a group's success speaks for a file that was open before the group began.
 * Never lets more than one group run, never keeps single jobs behind a group that takes long. */
#include "sys/flush.h"

#include "sys/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define STACK (64u << 10)
#define GROUP_PATIENCE_MS 20 /* a group that runs longer is overtaken */
#define GROUP_SLOW_MS 150    /* after one that took longer, something else fills this filesystem: */
#define SINGLE_FOR_MS 30000  /* file by file for so long */

bool
flush_may_trust_groups(void)
{
	unsigned long major, minor;
	struct utsname u;
	char *end;

	if (uname(&u) != 0)
		return false;
	major = strtoul(u.release, &end, 10);
	minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
	return major > 5 || (major == 5 && minor >= 17);
}

static bool
has_failed(struct flush_job *j)
{
	j->error = errno;
	j->r = result_of_errno(errno) == EXHAUSTED ? EXHAUSTED : BROKEN;
	return false;
}

static bool
flush_one(int fd, struct flush_job *j)
{
	int r;

	do
		r = fsync(fd);
	while (r != 0 && errno == EINTR);
	return r == 0 || has_failed(j);
}

static void
flush_single(struct flush_job *j)
{
	j->r = OK;
	j->error = 0;
	if (flush_one(j->fd, j) && j->dir_fd >= 0)
		(void)flush_one(j->dir_fd, j);
}

/* A syncfs reports a failed write once for each descriptor that asks, and it flushes every file of the filesystem, also
 * files that are still being written. So the error of such a file is reported to the group before its own, or to another
 * process's descriptor, and the file's own group then succeeds. The kernel also keeps the error with each description of
 * that file, from its opening on. This call asks for it and flushes nothing: the syncfs has done that. */
static bool
was_written(struct flush_job *j)
{
	int r;

	do
		r = sync_file_range(j->fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE);
	while (r != 0 && errno == EINTR);
	j->r = OK;
	j->error = 0;
	return r == 0 || has_failed(j);
}

/* True if all of it is on disk. If the syncfs fails, the failure need not be ours, since it speaks for the whole
 * filesystem: then each file is flushed by itself and reports its own error. */
static bool
flush_chain(struct flush_job *chain, int group_fd)
{
	bool flushed = syncfs(group_fd) == 0, good = flushed;

	for (struct flush_job *j = chain; j != NULL; j = j->next) {
		if (!flushed)
			flush_single(j);
		else
			good &= was_written(j);
	}
	return good;
}

static bool
is_on_one_filesystem(const struct flush_job *chain)
{
	struct stat first, other;

	if (fstat(chain->fd, &first) != 0)
		return false;
	for (const struct flush_job *j = chain->next; j != NULL; j = j->next)
		if (fstat(j->fd, &other) != 0 || other.st_dev != first.st_dev)
			return false;
	return true;
}

void
flush_now(struct flush_job *chain, bool groups)
{
	if (groups && chain != NULL && chain->next != NULL && is_on_one_filesystem(chain))
		(void)flush_chain(chain, chain->fd);
	else
		for (struct flush_job *j = chain; j != NULL; j = j->next)
			flush_single(j);
}

static bool
may_group(const struct flush *f, uint64_t now)
{
	return f->group_fd >= 0 && now >= f->single_until_ms;
}

/* Locked. */
static struct flush_job *
take_one(struct flush *f)
{
	struct flush_job *j = f->pending;

	f->pending = j->next;
	if (f->pending == NULL)
		f->pending_end = &f->pending;
	j->next = NULL;
	f->n_pending--;
	f->n_singles++;
	return j;
}

/* Locked. */
static struct flush_job *
take_all(struct flush *f, uint64_t now)
{
	struct flush_job *chain = f->pending;

	f->pending = NULL;
	f->pending_end = &f->pending;
	f->n_pending = 0;
	f->group_runs = true;
	f->group_began_ms = now;
	f->n_groups++;
	return chain;
}

/* Locked. Waits for something to do; *grouped says how. Null: the end. */
static struct flush_job *
take(struct flush *f, bool *grouped)
{
	for (;;) {
		uint64_t now = clock_ms();

		if (f->closing)
			return NULL;
		if (f->pending != NULL && may_group(f, now) && !f->group_runs) {
			*grouped = true;
			return take_all(f, now);
		}
		if (f->pending != NULL && (!may_group(f, now) || now - f->group_began_ms >= GROUP_PATIENCE_MS)) {
			*grouped = false;
			return take_one(f);
		}
		f->n_idle++;
		(void)pthread_cond_wait(&f->work, &f->lock);
		f->n_idle--;
	}
}

/* Locked. Wakes the event loop only for the first of a batch. */
static void
give_back(struct flush *f, struct flush_job *chain)
{
	static const uint64_t one = 1;
	struct flush_job *last = chain;
	bool first = f->done == NULL;

	for (f->n_flushed++; last->next != NULL; last = last->next)
		f->n_flushed++;
	last->next = f->done;
	f->done = chain;
	if (first && write(f->event_fd, &one, sizeof one) < 0)
		return; /* can't fail: the counter is far from full */
}

static void
end_group(struct flush *f, bool good)
{
	uint64_t now = clock_ms();

	f->group_runs = false;
	if (!good || now - f->group_began_ms > GROUP_SLOW_MS)
		f->single_until_ms = now + SINGLE_FOR_MS;
	if (f->n_pending > 1 && !may_group(f, now))
		(void)pthread_cond_broadcast(&f->work);
}

static void *
work(void *argument)
{
	struct flush *f = argument;
	struct flush_job *chain;
	bool grouped;

	(void)pthread_mutex_lock(&f->lock);
	while ((chain = take(f, &grouped)) != NULL) {
		bool good = true;

		(void)pthread_mutex_unlock(&f->lock);
		if (grouped)
			good = flush_chain(chain, f->group_fd);
		else
			flush_single(chain);
		(void)pthread_mutex_lock(&f->lock);
		if (grouped)
			end_group(f, good);
		give_back(f, chain);
	}
	(void)pthread_mutex_unlock(&f->lock);
	return NULL;
}

/* At least one, else the error. */
static int
start_threads(struct flush *f, unsigned n)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int error = pthread_attr_init(&attr);

	if (error != 0)
		return error;
	(void)pthread_attr_setstacksize(&attr, STACK);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old); /* the threads inherit it */
	while (f->n_threads < n && (error = pthread_create(&f->threads[f->n_threads], &attr, work, f)) == 0)
		f->n_threads++;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	return f->n_threads > 0 ? 0 : error;
}

enum result
flush_open(struct flush *f, unsigned n, int group_fd, struct why *why)
{
	*f = (struct flush){ .group_fd = group_fd, .event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	f->pending_end = &f->pending;
	if (f->event_fd < 0)
		return why_errno(why, EXHAUSTED, "making an event descriptor");
	(void)pthread_mutex_init(&f->lock, NULL);
	(void)pthread_cond_init(&f->work, NULL);
	errno = start_threads(f, n > FLUSH_THREADS_MAX ? FLUSH_THREADS_MAX : n);
	if (errno != 0) {
		(void)why_errno(why, EXHAUSTED, "starting the threads that flush");
		(void)close(f->event_fd);
		f->event_fd = -1;
		return EXHAUSTED;
	}
	return OK;
}

int
flush_fd(const struct flush *f)
{
	return f->event_fd;
}

/* Locked. How many threads the waiting jobs can use now. */
static unsigned
wanted(const struct flush *f)
{
	uint64_t now = clock_ms();

	if (f->pending == NULL)
		return 0;
	if (!may_group(f, now) || (f->group_runs && now - f->group_began_ms >= GROUP_PATIENCE_MS))
		return f->n_pending < f->n_idle ? f->n_pending : f->n_idle;
	return f->group_runs || f->n_idle == 0 ? 0 : 1;
}

void
flush_submit(struct flush *f, struct flush_job *chain)
{
	struct flush_job *last = chain;
	unsigned n = 1, wake;

	if (chain == NULL)
		return;
	for (; last->next != NULL; last = last->next)
		n++;
	(void)pthread_mutex_lock(&f->lock);
	*f->pending_end = chain;
	f->pending_end = &last->next;
	f->n_pending += n;
	wake = wanted(f);
	(void)pthread_mutex_unlock(&f->lock);
	while (wake-- > 0)
		(void)pthread_cond_signal(&f->work);
}

void
flush_poke(struct flush *f)
{
	unsigned wake;

	(void)pthread_mutex_lock(&f->lock);
	wake = wanted(f);
	(void)pthread_mutex_unlock(&f->lock);
	while (wake-- > 0)
		(void)pthread_cond_signal(&f->work);
}

struct flush_job *
flush_collect(struct flush *f)
{
	struct flush_job *done;
	uint64_t n;

	if (f->event_fd >= 0 && read(f->event_fd, &n, sizeof n) < 0)
		n = 0; /* nothing new was announced; there may be something all the same */
	(void)pthread_mutex_lock(&f->lock);
	done = f->done;
	f->done = NULL;
	(void)pthread_mutex_unlock(&f->lock);
	return done;
}

void
flush_close(struct flush *f)
{
	(void)pthread_mutex_lock(&f->lock);
	f->closing = true;
	(void)pthread_mutex_unlock(&f->lock);
	(void)pthread_cond_broadcast(&f->work);
	for (unsigned i = 0; i < f->n_threads; i++)
		(void)pthread_join(f->threads[i], NULL);
	f->n_threads = 0;
	for (struct flush_job *j = f->pending; j != NULL; j = j->next) {
		j->r = BROKEN;
		j->error = ECANCELED;
	}
	if (f->pending != NULL) {
		*f->pending_end = f->done;
		f->done = f->pending;
		f->pending = NULL;
	}
	(void)close(f->event_fd);
	f->event_fd = -1;
}
