/* Committing messages: doc/STATES Q1 to Q4, in that order.
 * Trusts no client about the content: not that it is written, not that nobody writes on.
 * Never answers before the flush, never tries a failed flush again, never leaves a name without an answer. */
#include "queue/commit.h"

#include "queue/feed.h"
#include "queue/intake.h"
#include "sys/fd.h"
#include "sys/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FLUSHERS 8

static void collect(struct loop *loop, struct source *s, uint32_t events);

enum result
commits_open(struct commits *c, struct loop *loop, bool groups, struct why *why)
{
	enum result r;

	c->chain = NULL;
	c->chain_end = &c->chain;
	if ((r = flush_open(&c->flush, FLUSHERS, groups ? c->place->root : -1, why)) != OK)
		return r;
	c->done = (struct source){ .fd = flush_fd(&c->flush), .ready = collect };
	return loop_watch(loop, &c->done, EPOLLIN, why);
}

enum result
commit_prepare(struct commits *c, struct transaction *t, int *writer, struct why *why)
{
	uint64_t content_at = store_draft_content_at(&t->draft);
	enum result r = OK;

	*writer = -1;
	if (!spares_take(c->spares, c->finished, commits_order(c), &t->spare))
		r = place_make(c->place, &t->id, &t->fd, why);
	if (r != OK || (r = place_reopen(c->place, transaction_fd(t), O_WRONLY, writer, why)) != OK)
		return r;
	if (lseek(*writer, (off_t)content_at, SEEK_SET) >= 0)
		return OK;
	fd_close(writer);
	return why_errno(why, BROKEN, "going to the place of the content");
}

/* The size must be what the client wrote; the zeros of a spare file that was longer are cut off. */
static enum result
check_size(const struct transaction *t, uint64_t octets, struct why *why)
{
	uint64_t content_at = store_draft_content_at(&t->draft), whole;
	int fd = transaction_fd(t);
	struct stat st;

	if (__builtin_add_overflow(content_at, octets, &whole) || whole > INT64_MAX)
		return why_set(why, MALFORMED, "a content of %llu octets", (unsigned long long)octets);
	if (fstat(fd, &st) != 0)
		return why_errno(why, BROKEN, "looking at a queue file");
	if ((uint64_t)st.st_size == whole || (octets == 0 && (uint64_t)st.st_size < content_at))
		return OK;
	if (t->spare.fd < 0 || (uint64_t)st.st_size < whole || (uint64_t)st.st_size != t->spare.len)
		return why_set(why, MALFORMED, "%llu octets were announced, the file has %llu",
		    (unsigned long long)whole, (unsigned long long)st.st_size);
	if (ftruncate(fd, (off_t)whole) != 0)
		return why_errno(why, result_of_errno(errno), "cutting a spare file");
	return OK;
}

static enum result
prove(const struct transaction *t, uint64_t octets, struct why *why)
{
	if (!place_is_alone(transaction_fd(t)))
		return why_set(why, MALFORMED, "the content's descriptor is still open elsewhere");
	return check_size(t, octets, why);
}

static enum result
name(struct commits *c, struct transaction *t, struct why *why)
{
	enum result r;

	if (t->spare.fd < 0)
		return place_name(c->place, t->fd, &t->id, why);
	if ((r = spares_name(c->spares, &t->spare, &t->id, why)) == OK) {
		t->fd = t->spare.fd;
		t->spare = SPARE_NONE;
	}
	return r;
}

enum result
commit_begin(struct commits *c, struct transaction *t, const struct pq_commit *said, struct why *why)
{
	struct bytes whole;
	enum result r;

	if ((r = prove(t, said->octets, why)) == OK) {
		whole = store_draft_finish(&t->draft, said->octets, said->sum);
		if ((r = fd_pwrite_all(transaction_fd(t), whole, 0)) != OK)
			r = why_errno(why, r, "writing an envelope");
	}
	if (r == OK)
		r = name(c, t, why);
	if (r != OK)
		return r;
	t->content_len = said->octets;
	t->order = c->begun + 1;
	t->job = (struct flush_job){ .fd = t->fd, .dir_fd = place_dir(c->place, &t->id) };
	*c->chain_end = &t->job;
	c->chain_end = &t->job.next;
	c->n_flushing++;
	return OK;
}

void
commits_submit(struct commits *c)
{
	struct flush_job *chain = c->chain;

	if (chain == NULL)
		return;
	c->chain = NULL;
	c->chain_end = &c->chain;
	c->begun++;
	flush_submit(&c->flush, chain);
}

uint64_t
commits_order(const struct commits *c)
{
	return c->chain == NULL ? c->begun : c->begun + 1;
}

static void
unname(struct commits *c, struct transaction *t, struct why *why)
{
	struct why second = WHY_NONE;

	errno = t->job.error;
	(void)why_errno(why, t->job.r, "flushing a queue file");
	if (place_remove(c->place, &t->id, &second) != OK)
		log_why("not-removed", BROKEN, &second);
}

static void
finish(struct commits *c, struct transaction *t)
{
	struct why why = WHY_NONE;
	enum result r = t->job.r;
	struct id id = t->id;

	c->n_flushing--;
	if (r == OK) {
		if (t->order > c->finished)
			c->finished = t->order;
		c->n_answered++;
		shelf_put(
		    c->shelf, &t->id, t->fd, t->draft.n_recipients, store_draft_content_at(&t->draft) + t->content_len);
		t->fd = -1;
	} else {
		unname(c, t, &why);
		fd_close(&t->fd);
	}
	intake_committed(t, r, &why);
	if (r == OK)
		feed_fresh(c->feed, &id);
}

static void
collect(struct loop *loop, struct source *s, uint32_t events)
{
	struct commits *c = container_of(s, struct commits, done);
	struct flush_job *next;

	(void)loop;
	(void)events;
	for (struct flush_job *j = flush_collect(&c->flush); j != NULL; j = next) {
		next = j->next;
		finish(c, container_of(j, struct transaction, job));
	}
}

void
commit_abandon(struct commits *c, struct transaction *t)
{
	spares_return(c->spares, &t->spare, commits_order(c));
	fd_close(&t->fd);
}
