/* Starts of generations, and what is done where one fails.
 * Trusts the tables of the house.
 * Never lets two generations of a service run beside each other that may not overlap. */
#include "warden/warden.h"

#include "sys/clock.h"
#include "sys/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SOUND_MS 5000 /* a generation that lived so long was not at fault */
#define ALONE_MAX 5   /* failures of one process, none of which lived so long, before its generation is replaced */
#define CROWD_MS 200  /* between two starts of one process, from which on there is a pause */
#define BREATH_MS 10
#define SHOW_MS 300      /* a new one, once it is confined, reads its configuration and begins to serve within that */
#define FRONT_MS 50      /* what takes connections, likewise, if it is too busy to be seen waiting */
#define CONFINE_MS 20000 /* a slow machine */
#define LOOK_MS 20

static void
log_generation(const struct warden *w)
{
	struct log_line l;

	log_begin(&l, SEVERITY_INFO, "generation");
	log_number(&l, "number", w->current.number);
	for (size_t i = 0; i < w->current.n; i++)
		log_number(&l, w->current.members[i].process, (uint64_t)w->current.members[i].pid);
	log_end(&l);
}

static enum result
start_generation(struct warden *w, struct generation *g, struct why *why)
{
	enum result r;

	if (!w->has_source && (r = warden_read(w, why)) != OK)
		return r;
	*g = (struct generation){ .number = ++w->n_generations, .held_back = g->held_back };
	if (w->in.lenient)
		log_simple(SEVERITY_WARNING, "lenient", "why",
		    "a kernel without landlock will do: the control item `lenient` says so");
	return generation_start(g, &w->in, &w->source, &w->sockets, why);
}

static enum result
note_current(struct warden *w, struct why *why)
{
	enum result r = generation_write_pids(&w->current, &w->in, why);

	w->started = clock_ms();
	if (r == OK)
		log_generation(w);
	return r;
}

static enum result
next_generation(struct warden *w, struct why *why)
{
	enum result r;

	if (house_may_overlap(w->in.service) && generation_runs(&w->current))
		warden_put_aside(w);
	else
		warden_end_generation(w, &w->current);
	w->replace = false; /* what ended until here is being replaced */
	w->started = clock_ms();
	r = start_generation(w, &w->current, why);
	return r == OK ? note_current(w, why) : r;
}

/* One that fails by itself soon after its start, again and again, is no accident: perhaps its neighbours are at fault. */
static bool
fails_too_often(struct member *m, bool spent)
{
	if (spent)
		return false;
	m->n_failures = clock_ms() - m->began_ms < SOUND_MS ? m->n_failures + 1 : 0;
	return m->n_failures > ALONE_MAX;
}

void
warden_replace_member(struct warden *w, struct member *m, bool spent)
{
	static const struct timespec breath = { 0, BREATH_MS * 1000000 };
	struct why why = WHY_NONE;
	struct log_line l;
	enum result r;

	if (w->end || w->replace || m->n_kept == 0 || w->current.ends || fails_too_often(m, spent)) {
		w->replace = true;
		return;
	}
	if (clock_ms() - m->began_ms < CROWD_MS)
		(void)nanosleep(
		    &breath, NULL); /* who can crash its sessions must not have all of this machine for it */
	r = generation_replace_member(&w->current, &w->in, &w->source, m, &why);
	if (r == OK)
		r = generation_write_pids(&w->current, &w->in, &why);
	if (r != OK) {
		log_why("process-started", r, &why);
		w->replace = true;
		return;
	}
	log_begin(&l, SEVERITY_INFO, "process-started");
	log_text(&l, "name", m->process);
	log_number(&l, "child", (uint64_t)m->pid);
	log_number(&l, "generation", w->current.number);
	log_end(&l);
}

uint64_t
warden_pause(struct warden *w)
{
	static const uint64_t pauses[] = { 0, 100, 500, 1000, 2000, 5000 };

	if (clock_ms() - w->started > SOUND_MS)
		w->failures = 0;
	return pauses[w->failures < nitems(pauses) - 1 ? w->failures++ : nitems(pauses) - 1];
}

static void
log_failed_start(struct warden *w, enum result r, const struct why *why)
{
	if (r != ABSENT || !w->waits_for_other)
		log_why("generation", r, why);
	w->waits_for_other = r == ABSENT;
	w->replace = true;
}

void
warden_start(struct warden *w)
{
	struct why why = WHY_NONE;
	enum result r = next_generation(w, &why);

	if (r == OK)
		w->waits_for_other = false;
	else
		log_failed_start(w, r, &why);
}

/* ---- beside the current one ---- */

/* Its filter of system calls is the last step of a process's confinement. *waits (or null): whether it waits for something. */
static bool
is_confined(pid_t pid, bool *waits)
{
	char path[64], text[4096];
	const char *at, *state;
	int fd;
	ssize_t n;

	(void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		(void)close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	at = strstr(text, "\nSeccomp:\t");
	state = strstr(text, "\nState:\t");
	if (waits != NULL)
		*waits = state != NULL && state[8] == 'S';
	return at != NULL && at[10] == '2';
}

static bool
all_are_confined(const struct generation *g)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->members[i].pid > 0 && !(g->held_back && &g->members[i] == generation_front(g)) &&
		    !is_confined(g->members[i].pid, NULL))
			return false;
	return true;
}

/* Whether all members of g live on until they have confined themselves and read their configuration. */
static bool
shows_itself(struct warden *w, const struct generation *g, const bool *failed, unsigned ms)
{
	uint64_t limit = clock_ms() + CONFINE_MS, left;

	while (!w->end && !*failed && !all_are_confined(g) && clock_ms() < limit)
		warden_wait(w, LOOK_MS);
	if (!all_are_confined(g))
		return false;
	limit = clock_ms() + ms;
	while (!w->end && !*failed && (left = clock_left_ms(limit)) > 0)
		warden_wait(w, left);
	return !*failed;
}

/* The last to begin takes the connections: from when it waits for one the current generation's may end. */
static bool
front_takes_over(struct warden *w)
{
	const struct member *front = generation_front(&w->coming);
	uint64_t limit;
	bool waits = front == NULL;

	generation_let_go(&w->coming);
	if (!shows_itself(w, &w->coming, &w->coming_failed, 0))
		return false;
	limit = clock_ms() + FRONT_MS;
	while (!w->end && !w->coming_failed && !waits && clock_ms() < limit) {
		if (!is_confined(front->pid, &waits) || !waits)
			warden_wait(w, 2);
	}
	return !w->coming_failed;
}

static enum result
start_beside(struct warden *w, struct why *why)
{
	enum result r;

	w->coming_failed = false;
	w->coming.held_back = true;
	r = start_generation(w, &w->coming, why);
	if (r == OK && (!shows_itself(w, &w->coming, &w->coming_failed, SHOW_MS) || !front_takes_over(w)))
		r = why_set(why, REFUSED,
		    "a process of generation %u ended, or did not confine itself; generation %u goes on",
		    w->coming.number, w->current.number);
	if (r != OK) {
		generation_signal(&w->coming, SIGKILL);
		warden_end_generation(w, &w->coming);
		w->coming = (struct generation){ 0 };
		return r;
	}
	warden_put_aside(w);
	w->current = w->coming;
	w->coming = (struct generation){ 0 };
	w->replace = false;
	w->failures = 0;
	return note_current(w, why);
}

static enum result
start_instead(struct warden *w, struct why *why)
{
	enum result r = next_generation(w, why);

	if (r != OK)
		log_failed_start(w, r, why);
	else if (!shows_itself(w, &w->current, &w->replace, SHOW_MS))
		r = why_set(
		    why, REFUSED, "a process of generation %u ended; it is tried again and again", w->current.number);
	return r;
}

enum result
warden_start_checked(struct warden *w, struct why *why)
{
	w->waits_for_other = false;
	if (house_may_overlap(w->in.service) && generation_runs(&w->current))
		return start_beside(w, why);
	return start_instead(w, why);
}
