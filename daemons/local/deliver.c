/* Groups of deliveries: written one by one, flushed together, named, and then flushed once more.
 * Trusts send for addresses and paths only as far as the user's own rights go.
 * Never says "delivered" before the directory is on disk; what fails leaves nothing in the Maildir. */
#include "local/deliver.h"

#include "local/look.h"
#include "local/mbox.h"
#include "mail/copy.h"
#include "mail/maildir.h"
#include "sys/clock.h"
#include "sys/fd.h"
#include "sys/flush.h"
#include "sys/home.h"
#include "sys/log.h"
#include "sys/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAILDIRS_MAX SD_IN_FLIGHT /* open at a time: a group never needs more */
#define MAILDIR_AGE_MS 5000       /* then they are opened anew: their user may have moved them */

struct delivery {
	uint64_t ref;
	struct maildir *maildir;
	struct maildir_delivery file;
	struct flush_job flush;
	bool failed, unsafe;
	struct sd_result result;
	char text[WHY_MAX];
};

struct open_maildir {
	struct maildir dirs;
	char path[MAILDIR_PATH_MAX + 1];
	size_t path_len;
	bool used; /* by this group */
};

struct group {
	struct delivery items[SD_IN_FLIGHT];
	size_t n;
	struct open_maildir maildirs[MAILDIRS_MAX];
	size_t n_maildirs;
	uint64_t maildirs_since_ms;
	const struct why *away; /* why the home can't be used; empty: it can */
	bool home_is_known;     /* as it was when the group began */
	enum result home;
	struct why home_why;
};

static void
set_result(struct delivery *d, enum sd_outcome outcome, unsigned subject, unsigned detail, const char *text)
{
	static const uint8_t classes[] = { [SD_DELIVERED] = 2, [SD_TEMPORARY] = 4, [SD_PERMANENT] = 5 };

	d->result = (struct sd_result){ .outcome = (uint8_t)outcome,
		.enhanced = { classes[outcome], (uint16_t)subject, (uint16_t)detail } };
	(void)snprintf(d->text, sizeof d->text, "%s", text);
}

static const struct open_maildir *
opened_for(const struct delivery *d)
{
	return container_of(d->maildir, struct open_maildir, dirs);
}

static void
fail(struct delivery *d, enum result r, const struct why *why)
{
	char text[WHY_MAX];

	(void)snprintf(text, sizeof text, "%s", why->text);
	if (d->maildir != NULL) {
		(void)snprintf(text, sizeof text, "%.200s (in %.*s)", why->text, (int)opened_for(d)->path_len,
		    opened_for(d)->path);
		maildir_drop(d->maildir, &d->file);
	}
	d->failed = true;
	if (d->unsafe)
		set_result(d, SD_TEMPORARY, 7, 0, text); /* a matter of security */
	else if (r == EXHAUSTED)
		set_result(d, SD_TEMPORARY, 2, 2, text); /* mailbox full */
	else
		set_result(d, SD_TEMPORARY, 2, 1, text);
}

static enum result
check_home(struct group *g, struct why *why)
{
	if (!g->home_is_known) {
		g->home_why = WHY_NONE;
		g->home = home_look(g->away, &g->home_why);
		g->home_is_known = true;
	}
	return g->home == OK ? OK : why_set(why, g->home, "%s", g->home_why.text);
}

/* a place for one more: a new one, or that of one which this group does not use */
static struct open_maildir *
maildir_place(struct group *g)
{
	size_t i = 0;

	if (g->n_maildirs == 0)
		g->maildirs_since_ms = clock_ms();
	if (g->n_maildirs < MAILDIRS_MAX)
		return &g->maildirs[g->n_maildirs++];
	while (i < MAILDIRS_MAX - 1 && g->maildirs[i].used)
		i++;
	maildir_close(&g->maildirs[i].dirs);
	return &g->maildirs[i];
}

static enum result
find_maildir(struct group *g, struct bytes path, bool make, struct maildir **found, struct why *why)
{
	struct open_maildir *o;
	enum result r;

	for (size_t i = 0; i < g->n_maildirs; i++) {
		o = &g->maildirs[i];
		if (o->dirs.tmp_fd >= 0 && bytes_equal(bytes_of(o->path, o->path_len), path)) {
			o->used = true;
			*found = &o->dirs;
			return OK;
		}
	}
	if (path.len > MAILDIR_PATH_MAX)
		return why_set(why, REFUSED, "the name of the Maildir is too long");
	o = maildir_place(g);
	if ((r = maildir_open(&o->dirs, path, make, why)) != OK)
		return r;
	maildir_clean(&o->dirs, clock_wall_s());
	memcpy(o->path, path.at, path.len);
	o->path_len = path.len;
	o->used = true;
	*found = &o->dirs;
	return OK;
}

static enum result
write_mbox(struct delivery *d, struct bytes path, struct copy_job *job, struct why *why)
{
	enum result r = mbox_append(path, job, why);

	if (r == OK)
		set_result(d, SD_DELIVERED, 0, 0, "delivered");
	if (r != REFUSED)
		return r;
	set_result(d, SD_PERMANENT, 4, 6, why->text);
	return OK;
}

enum { REVERSE_PATH, RECIPIENT, MAILDIR, TRACE, N_FIELDS };

static enum result
write_message(struct group *g, struct delivery *d, const struct wire_message *m, const struct bytes fields[N_FIELDS],
    struct why *why)
{
	const struct sd_deliver *body = m->body;
	struct copy_job job = { .from_fd = m->fds[0],
		.content_at = body->content_at,
		.content_len = body->content_len,
		.reverse_path = fields[REVERSE_PATH],
		.recipient = fields[RECIPIENT],
		.trace = fields[TRACE],
		.to_fd = -1,
		.form = COPY_MAILDIR };
	enum result r;

	if ((r = check_home(g, why)) != OK) {
		d->unsafe = true;
		return r;
	}
	if ((body->flags & SD_LOOK_FIRST) != 0 && look_for_instructions((body->flags & SD_EXTENDED) != 0)) {
		d->result.outcome = SD_INSTRUCTED;
		return OK;
	}
	if ((body->flags & SD_MBOX) != 0)
		return write_mbox(d, fields[MAILDIR], &job, why);
	if ((r = find_maildir(g, fields[MAILDIR], (body->flags & SD_MAKE_MAILDIR) != 0, &d->maildir, why)) != OK ||
	    (r = maildir_begin(d->maildir, &d->file, why)) != OK)
		return r;
	job.to_fd = d->file.fd;
	r = copy_message(&job, why);
	if (r != REFUSED)
		return r;
	maildir_drop(d->maildir, &d->file);
	set_result(d, SD_PERMANENT, 4, 6, why->text);
	return OK;
}

static enum result
take(struct group *g, const struct wire_message *m, struct why *why)
{
	struct bytes fields[N_FIELDS];
	struct delivery *d = &g->items[g->n];
	struct why reason = WHY_NONE;
	enum result r;

	if (!wire_take_all(m->tail, fields, N_FIELDS))
		return why_set(why, MALFORMED, "a delivery without its fields");
	*d = (struct delivery){ .ref = m->ref, .file = { .fd = -1 } };
	g->n++;
	r = write_message(g, d, m, fields, &reason);
	if (r != OK)
		fail(d, r, &reason);
	return OK;
}

static bool
is_written(const struct delivery *d)
{
	return d->file.fd >= 0;
}

static void
flush_messages(struct group *g, bool groups)
{
	struct flush_job *chain = NULL;

	for (size_t i = 0; i < g->n; i++) {
		struct delivery *d = &g->items[i];

		if (!is_written(d))
			continue;
		d->flush = (struct flush_job){ .fd = d->file.fd, .dir_fd = -1, .next = chain };
		chain = &d->flush;
	}
	flush_now(chain, groups);
}

static void
name_messages(struct group *g)
{
	for (size_t i = 0; i < g->n; i++) {
		struct delivery *d = &g->items[i];
		struct why why = WHY_NONE;
		enum result r;

		if (!is_written(d))
			continue;
		if (d->flush.r != OK)
			r = why_set(&why, d->flush.r, "the message can't be brought to disk: %s",
			    strerrordesc_np(d->flush.error));
		else
			r = maildir_finish(d->maildir, &d->file, &why);
		if (r != OK)
			fail(d, r, &why);
		else
			set_result(d, SD_DELIVERED, 0, 0, "delivered");
	}
}

/* What was delivered to a Maildir whose directory may not be on disk: it may come twice, it is not lost. */
static void
doubt_names(struct group *g, const struct open_maildir *o, int error)
{
	char text[WHY_MAX];

	(void)snprintf(
	    text, sizeof text, "bringing new to disk: %s (in %.*s)", strerrordesc_np(error), (int)o->path_len, o->path);
	for (size_t k = 0; k < g->n; k++)
		if (g->items[k].maildir == &o->dirs && g->items[k].result.outcome == SD_DELIVERED)
			set_result(&g->items[k], SD_TEMPORARY, 2, 1, text);
}

static void
flush_names(struct group *g)
{
	for (size_t i = 0; i < g->n_maildirs; i++) {
		struct open_maildir *o = &g->maildirs[i];

		if (o->used && fsync(o->dirs.new_fd) != 0)
			doubt_names(g, o, errno);
		o->used = false;
	}
}

static enum result
answer(struct group *g, struct channel *send, struct why *why)
{
	for (size_t i = 0; i < g->n; i++) {
		struct delivery *d = &g->items[i];
		enum result r = channel_send(send, SD_RESULT, d->ref, &d->result, bytes_of_string(d->text), NULL, why);

		if (r != OK)
			return r;
	}
	g->n = 0;
	g->home_is_known = false;
	return OK;
}

static void
close_maildirs(struct group *g)
{
	for (size_t i = 0; i < g->n_maildirs; i++)
		maildir_close(&g->maildirs[i].dirs);
	g->n_maildirs = 0;
}

/* after a failure they are opened anew as well: its reason may be that they are not what they were */
static bool
are_stale(const struct group *g, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (g->items[i].failed)
			return true;
	return g->n_maildirs > 0 && clock_ms() - g->maildirs_since_ms > MAILDIR_AGE_MS;
}

/* all that waits, or the first if none does */
static enum result
gather(struct group *g, struct channel *send, struct why *why)
{
	static struct wire_buffer buffer;
	struct wire_message m;
	enum result r = OK;

	while (g->n < SD_IN_FLIGHT) {
		send->waits = g->n == 0;
		r = channel_receive(send, &buffer, &m, why);
		if (r == AGAIN || (r == ABSENT && g->n > 0))
			break;
		if (r != OK)
			return r;
		r = take(g, &m, why);
		wire_close_fds(&m);
		if (r != OK)
			return r;
	}
	send->waits = true;
	return OK;
}

enum result
deliver_run(struct channel *send, bool groups, const struct why *away, struct why *why)
{
	static struct group g;
	enum result r;
	size_t n;

	g.away = away;
	for (;;) {
		if ((r = gather(&g, send, why)) != OK)
			return r == ABSENT ? OK : r;
		flush_messages(&g, groups);
		name_messages(&g);
		flush_names(&g);
		n = g.n;
		if ((r = answer(&g, send, why)) != OK)
			return r == ABSENT ? OK : r;
		if (are_stale(&g, n))
			close_maildirs(&g);
	}
}
