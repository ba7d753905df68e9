/* queue: keeps messages on disk until every recipient has a final result.
 * Trusts its directory to be its own (a lock, owner and links are checked), and `send` to know what is done.
 * Never sees the network, never answers for a message that is not flushed, never deletes what it does not know. */
#include "queue/admin.h"
#include "queue/intake.h"
#include "queue/privileges.h"
#include "queue/scan.h"

#include "control/control.h"
#include "sys/log.h"
#include "sys/process.h"

#define NAMES_A_TURN 16u /* of a start's reading and of lists, between two looks at new mail */
#define POKE_MS 500

struct queue {
	struct loop loop;
	struct timer poke, mark;
	uint64_t n_marked;  /* of the messages answered, those that the mark speaks of */
	uint64_t n_cleared; /* of the files removed as never answered, those that were told */
	struct place place;
	struct past past;
	struct proofs proofs;
	struct late late;
	struct spares spares;
	struct shelf shelf;
	struct commits commits;
	struct feed feed;
	struct scan scan;
	struct intake intake;
	struct admin admin;
};

static void
raise_mark(struct queue *q)
{
	uint64_t now = q->loop.now;

	if (!q->scan.ended || q->n_marked == q->commits.n_answered || q->mark.slot != 0)
		return;
	if (now < past_next_mark_ms(&q->past)) {
		(void)loop_at(&q->loop, &q->mark, past_next_mark_ms(&q->past));
		return;
	}
	past_raise_mark(&q->past, intake_open_from(&q->intake), now);
	q->n_marked = q->commits.n_answered;
}

static void
mark_due(struct loop *loop, struct timer *t)
{
	(void)loop;
	raise_mark(container_of(t, struct queue, mark));
}

/* One line for all that the scan found, and one for what a later reading finds. */
static void
tell_cleared(struct queue *q)
{
	struct log_line l;

	if (!q->scan.ended || q->past.n_unanswered == q->n_cleared)
		return;
	log_begin(&l, SEVERITY_INFO, "never-accepted");
	log_number(&l, "messages", q->past.n_unanswered - q->n_cleared);
	log_text(&l, "text",
	    "a crash interrupted their writing before they were accepted; what was left of them is removed");
	log_end(&l);
	q->n_cleared = q->past.n_unanswered;
}

static void
idle(struct loop *loop)
{
	struct queue *q = container_of(loop, struct queue, loop);
	bool more = scan_step(&q->scan, NAMES_A_TURN);

	more |= admin_step(&q->admin, NAMES_A_TURN);
	commits_submit(&q->commits);
	raise_mark(q);
	tell_cleared(q);
	loop->hurry = more;
	if (q->commits.n_flushing > 0 && q->poke.slot == 0)
		(void)loop_at(loop, &q->poke, loop->now + POKE_MS);
}

static void
poke(struct loop *loop, struct timer *t)
{
	(void)loop;
	flush_poke(&container_of(t, struct queue, poke)->commits.flush);
}

static void
look_at_late(void *context, const struct id *id)
{
	struct queue *q = context;

	scan_look_at(&q->scan, id);
}

static bool
may_look(void *context)
{
	struct queue *q = context;

	return feed_may_announce(&q->feed) && proofs_have_room(&q->proofs);
}

static void
proved(void *context, struct proof *proof)
{
	struct queue *q = context;

	if (proof->is_asked)
		feed_proved(&q->feed, proof);
	else
		scan_proved(&q->scan, proof);
}

static void
wire_modules(struct queue *q)
{
	q->poke.due = poke;
	q->mark.due = mark_due;
	spares_open(&q->spares, &q->place);
	shelf_open(&q->shelf, &q->place, &q->past);
	late_open(&q->late, &q->loop, look_at_late, may_look, q);
	q->commits.place = q->feed.place = q->scan.place = q->intake.place = q->admin.place = &q->place;
	q->commits.spares = q->feed.spares = q->intake.spares = &q->spares;
	q->commits.shelf = q->feed.shelf = q->admin.shelf = &q->shelf;
	q->feed.commits = q->intake.commits = &q->commits;
	q->commits.feed = q->scan.feed = q->admin.feed = q->intake.feed = &q->feed;
	q->scan.past = q->feed.past = q->intake.past = q->admin.past = &q->past;
	q->scan.proofs = q->feed.proofs = &q->proofs;
	q->scan.late = q->feed.late = &q->late;
	q->scan.loop = &q->loop;
}

static enum result
start(struct queue *q, const struct process *self, uint64_t least_free, bool groups, struct why *why)
{
	static const int doors[INTAKE_DOORS - 1] = { QUEUE_SMTPD_DOOR_FD, QUEUE_SMTPS_DOOR_FD, QUEUE_SUBMISSION_DOOR_FD,
		QUEUE_INJECT_DOOR_FD };
	enum result r;

	wire_modules(q);
	if ((r = place_open(&q->place, QUEUE_PROC_FDS_FD, self->uid, least_free, why)) != OK ||
	    (r = loop_open(&q->loop, why)) != OK || (r = proofs_open(&q->proofs, &q->loop, proved, q, why)) != OK)
		return r;
	past_open(&q->past, &q->place);
	q->loop.idle = idle;
	q->loop.hurry = true;
	if ((r = commits_open(&q->commits, &q->loop, groups, why)) != OK ||
	    (r = feed_open(&q->feed, &q->loop, QUEUE_SEND_FD, why)) != OK ||
	    (r = intake_open(&q->intake, &q->loop, QUEUE_BOUNCES_FD, doors, why)) != OK)
		return r;
	return admin_open(&q->admin, &q->loop, QUEUE_ADMIN_DOOR_FD, why);
}

int
main(int argc, char *argv[])
{
	static struct queue queue;
	struct process self = process_begin(argc, argv, &queue_privileges);
	struct control control = CONTROL_NONE;
	struct why why = WHY_NONE;
	bool groups = flush_may_trust_groups();
	enum result r;

	if ((r = process_inherit(&self, &why)) != OK || (r = process_confine(&self, &why)) != OK ||
	    (r = control_open(&control, CONTROL_FD, "queue", &why)) != OK ||
	    (r = start(&queue, &self, control_number(&control, ITEM_QUEUEFREE), groups, &why)) != OK)
		return process_refuse(&self, r, &why);
	log_simple(SEVERITY_INFO, "start", "purpose", queue_privileges.purpose);
	if ((r = loop_run(&queue.loop, &why)) == OK)
		r = why_set(&why, ABSENT, "send is gone: a new generation begins");
	return process_refuse(&self, r, &why);
}
