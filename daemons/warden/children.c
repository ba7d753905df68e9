/* What a warden's children do: their ends, and how they are ended.
 * Trusts the kernel's word on them.
 * Never reads what a child writes. */
#include "warden/warden.h"

#include "sys/clock.h"
#include "sys/log.h"
#include "sys/process.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#define END_SECONDS 5 /* from SIGTERM to SIGKILL */

static void
log_end_of(const struct member *m, int status)
{
	struct log_line l;
	bool fine = WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == PROCESS_SPENT);

	log_begin(&l, fine ? SEVERITY_INFO : SEVERITY_ERROR, "process-ended");
	log_text(&l, "name", m->process);
	log_number(&l, "child", (uint64_t)m->pid);
	if (WIFSIGNALED(status))
		log_text(&l, "signal", sigdescr_np(WTERMSIG(status)));
	else
		log_number(&l, "status", (uint64_t)WEXITSTATUS(status));
	log_end(&l);
}

static void
reap(struct warden *w)
{
	struct member *m;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (users_feed_ended(&w->users, pid, status))
			continue;
		if ((m = generation_find(&w->coming, pid)) != NULL) {
			log_end_of(m, status);
			m->pid = 0;
			w->coming_failed = true;
			continue;
		}
		if ((m = generation_find(&w->current, pid)) != NULL) {
			log_end_of(m, status);
			m->pid = 0;
			warden_replace_member(w, m, WIFEXITED(status) && WEXITSTATUS(status) == PROCESS_SPENT);
			continue;
		}
		for (size_t i = 0; i < WARDEN_OLD_MAX; i++)
			if ((m = generation_find(&w->old[i], pid)) != NULL)
				m->pid = 0;
	}
}

void
warden_wait(struct warden *w, uint64_t ms)
{
	struct timespec limit = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

	switch (sigtimedwait(&w->signals, NULL, &limit)) {
	case SIGTERM:
	case SIGINT:
		w->end = true;
		break;
	case SIGHUP:
		w->reload = true;
		break;
	case SIGALRM: /* as qmail-send: try everything now */
		for (size_t i = 0; i < w->current.n; i++)
			if (w->current.members[i].pid > 0 && strcmp(w->current.members[i].process, "send") == 0)
				(void)kill(w->current.members[i].pid, SIGALRM);
		break;
	default:
		break;
	}
	reap(w);
}

void
warden_end_generation(struct warden *w, struct generation *g)
{
	uint64_t limit = clock_ms() + END_SECONDS * 1000;

	g->ends = true;
	generation_signal(g, SIGTERM);
	while (generation_runs(g) && clock_ms() < limit)
		warden_wait(w, 100);
	generation_signal(g, SIGKILL);
	while (generation_runs(g)) {
		int status;
		pid_t pid = waitpid(-1, &status, 0);
		struct member *m = pid > 0 ? generation_find(g, pid) : NULL;

		(void)users_feed_ended(&w->users, pid, status);
		if (pid < 0 && errno == ECHILD)
			break;
		if (m != NULL)
			m->pid = 0;
	}
	generation_release(g);
}

/* The group of each member outlives it while sessions run: signal 9 to a group that is gone does nothing. */
void
warden_end_everything(struct warden *w)
{
	struct generation all[WARDEN_OLD_MAX + 1];

	memcpy(all, w->old, sizeof w->old);
	all[WARDEN_OLD_MAX] = w->current;
	for (size_t i = 0; i < WARDEN_OLD_MAX; i++)
		if (generation_runs(&w->old[i]))
			warden_end_generation(w, &w->old[i]);
	warden_end_generation(w, &w->current);
	for (size_t i = 0; i <= WARDEN_OLD_MAX; i++)
		generation_signal(&all[i], SIGKILL);
}

void
warden_put_aside(struct warden *w)
{
	size_t free_slot = 0;

	for (size_t i = 0; i < WARDEN_OLD_MAX; i++) {
		if (!generation_runs(&w->old[i])) {
			free_slot = i;
			break;
		}
		if (w->old[i].number < w->old[free_slot].number)
			free_slot = i; /* the oldest gives way */
	}
	if (generation_runs(&w->old[free_slot]))
		warden_end_generation(w, &w->old[free_slot]);
	generation_retire(&w->current);
	generation_release(&w->current); /* its sessions go on, and none is begun */
	w->old[free_slot] = w->current;
	w->current = (struct generation){ 0 };
}
