/* warden: starts the processes of one service, keeps its sockets, replaces what fails.
 * Trusts root's control files and the kernel's word on its children; nothing that a child writes.
 * Never reads a descriptor, never leaves a process behind that it started. */
#include "house/generation.h"

#include "config.h"
#include "sys/about.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/process.h"
#include "warden/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OLD_MAX 16    /* generations that still end their sessions */
#define END_SECONDS 5 /* from SIGTERM to SIGKILL */
#define LOOK_MS 1000  /* how often a service looks whether those that it talks to have come anew */
#define SOUND_MS 5000 /* a generation that lived so long was not at fault */

struct warden {
	struct instance in;
	struct control_source source;
	struct sockets sockets;
	struct generation current, old[OLD_MAX];
	sigset_t signals;
	unsigned n_generations;
	unsigned failures;    /* in a row, each soon after its start */
	uint64_t started;     /* clock_ms of the current generation */
	bool waits_for_other; /* said so already */
	bool replace, reload, end;
};

static void
complain(void *ctx, const struct control_complaint *c)
{
	struct log_line l;
	char place[600];

	(void)ctx;
	(void)snprintf(place, sizeof place, c->line == 0 ? "%s" : "%s:%u", c->file, c->line);
	log_begin(&l, c->severity, "control");
	log_text(&l, "at", place);
	log_text(&l, "why", c->text);
	log_end(&l);
}

static unsigned
readers_of(const char *service)
{
	const char *members[HOUSE_MEMBERS_MAX];
	size_t n = house_members(service, members);
	unsigned readers = BY_WARDEN;

	for (size_t i = 0; i < n; i++)
		readers |= control_reader_of(members[i]);
	return readers;
}

static enum result
bind_listening(struct warden *w, const struct control_source *source, struct why *why)
{
	struct control own = CONTROL_NONE;
	enum result r;
	int fd = -1;

	r = control_seal(source, "warden", &fd, why);
	if (r == OK && (r = control_open(&own, fd, "warden", why)) == OK) {
		r = sockets_listen(&w->sockets, &own, why);
		w->in.lenient = control_number(&own, ITEM_LENIENT) != 0;
		control_close(&own);
	}
	if (fd >= 0)
		(void)close(fd);
	return r;
}

/* Takes the control directory as it is now; if anything is wrong with it, what runs goes on as it was. */
static enum result
read_control(struct warden *w, struct why *why)
{
	struct control_from from = { w->in.control, w->in.service, readers_of(w->in.service), complain, w };
	static struct control_source new;
	enum result r = control_read(&new, &from, why);

	if (r == OK)
		r = bind_listening(w, &new, why);
	if (r != OK) {
		control_forget(&new);
		return r;
	}
	if (w->n_generations > 0)
		control_forget(&w->source);
	w->source = new;
	return OK;
}

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
		if ((m = generation_find(&w->current, pid)) != NULL) {
			log_end_of(m, status);
			m->pid = 0;
			w->replace = true;
			continue;
		}
		for (size_t i = 0; i < OLD_MAX; i++)
			if ((m = generation_find(&w->old[i], pid)) != NULL)
				m->pid = 0;
	}
}

/* Waits at most ms; takes note of what happened. */
static void
wait_for_signal(struct warden *w, uint64_t ms)
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

static void
end_generation(struct warden *w, struct generation *g)
{
	uint64_t limit = clock_ms() + END_SECONDS * 1000;

	generation_signal(g, SIGTERM);
	while (generation_runs(g) && clock_ms() < limit)
		wait_for_signal(w, 100);
	generation_signal(g, SIGKILL);
	while (generation_runs(g)) {
		int status;
		pid_t pid = waitpid(-1, &status, 0);
		struct member *m = pid > 0 ? generation_find(g, pid) : NULL;

		if (pid < 0 && errno == ECHILD)
			break;
		if (m != NULL)
			m->pid = 0;
	}
}

/* The group of each member outlives it while sessions run: signal 9 to a group that is gone does nothing. */
static void
end_everything(struct warden *w)
{
	struct generation all[OLD_MAX + 1];

	memcpy(all, w->old, sizeof w->old);
	all[OLD_MAX] = w->current;
	for (size_t i = 0; i < OLD_MAX; i++)
		if (generation_runs(&w->old[i]))
			end_generation(w, &w->old[i]);
	end_generation(w, &w->current);
	for (size_t i = 0; i <= OLD_MAX; i++)
		generation_signal(&all[i], SIGKILL);
}

static void
put_aside(struct warden *w)
{
	size_t free_slot = 0;

	for (size_t i = 0; i < OLD_MAX; i++) {
		if (!generation_runs(&w->old[i])) {
			free_slot = i;
			break;
		}
		if (w->old[i].number < w->old[free_slot].number)
			free_slot = i; /* the oldest gives way */
	}
	if (generation_runs(&w->old[free_slot]))
		end_generation(w, &w->old[free_slot]);
	generation_retire(&w->current);
	w->old[free_slot] = w->current;
	w->current = (struct generation){ 0 };
}

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
next_generation(struct warden *w, struct why *why)
{
	enum result r;

	if (house_may_overlap(w->in.service) && generation_runs(&w->current))
		put_aside(w);
	else
		end_generation(w, &w->current);
	w->replace = false; /* what ended until here is being replaced */
	w->current = (struct generation){ .number = ++w->n_generations };
	if (w->in.lenient)
		log_simple(SEVERITY_WARNING, "lenient", "why",
		    "a kernel without landlock will do: the control item `lenient` says so");
	r = generation_start(&w->current, &w->in, &w->source, &w->sockets, why);
	if (r == OK)
		r = generation_write_pids(&w->current, &w->in, why);
	w->started = clock_ms();
	if (r == OK)
		log_generation(w);
	return r;
}

static uint64_t
pause_before_next(struct warden *w)
{
	static const uint64_t pauses[] = { 0, 100, 500, 1000, 2000, 5000 };

	if (clock_ms() - w->started > SOUND_MS)
		w->failures = 0;
	return pauses[w->failures < nitems(pauses) - 1 ? w->failures++ : nitems(pauses) - 1];
}

static void
start_or_say_why(struct warden *w)
{
	struct why why = WHY_NONE;
	enum result r = next_generation(w, &why);

	if (r == OK) {
		w->waits_for_other = false;
		return;
	}
	if (r != ABSENT || !w->waits_for_other)
		log_why("generation", r, &why);
	w->waits_for_other = r == ABSENT;
	w->replace = true;
}

static void
reload(struct warden *w)
{
	struct why why = WHY_NONE;
	enum result r = read_control(w, &why);

	w->reload = false;
	if (r != OK) {
		log_why("reload-refused", r, &why);
		return;
	}
	log_simple(SEVERITY_INFO, "reload", "control", w->in.control);
	start_or_say_why(w);
}

static void
run(struct warden *w)
{
	start_or_say_why(w);
	while (!w->end) {
		if (w->replace) {
			uint64_t until = clock_ms() + pause_before_next(w), left;

			while ((left = clock_left_ms(until)) > 0 && !w->end && !w->reload)
				wait_for_signal(w, left);
			if (!w->end && !w->reload)
				start_or_say_why(w);
		}
		if (w->reload)
			reload(w);
		if (!w->replace && !w->end)
			wait_for_signal(w, w->current.has_doorways ? LOOK_MS : 3600000);
		if (!w->replace && !w->end && generation_is_cut_off(&w->current, &w->in)) {
			log_simple(SEVERITY_INFO, "doors", "why", "a service that this one talks to has come anew");
			start_or_say_why(w);
		}
	}
	end_everything(w);
}

static const char usage_text[] = "usage: warden [-c CONTROLDIR] [-R RUNDIR] [-q QUEUEDIR] [-l LIBEXECDIR] SERVICE\n";

__attribute__((noreturn)) static void
usage(void)
{
	(void)fputs(usage_text, stderr);
	exit(100);
}

static const char *
parse(int argc, char *argv[], struct instance *in)
{
	int c;

	*in = (struct instance){
		.control = POSTERN_CONTROLDIR,
		.run = POSTERN_RUNDIR,
		.queue = POSTERN_QUEUEDIR,
		.libexec = POSTERN_LIBEXECDIR,
	};
	while ((c = getopt(argc, argv, "c:R:q:l:")) != -1)
		switch (c) {
		case 'c':
			in->control = optarg;
			break;
		case 'R':
			in->run = optarg;
			break;
		case 'q':
			in->queue = optarg;
			break;
		case 'l':
			in->libexec = optarg;
			break;
		default:
			usage();
		}
	if (optind + 1 != argc)
		usage();
	in->service = argv[optind];
	return in->service;
}

static enum result
begin(struct warden *w, struct process *self, struct why *why)
{
	static char empty[512], keys[512], lock[512];
	enum result r;
	int fd;

	(void)snprintf(empty, sizeof empty, "%s/empty", w->in.run);
	(void)snprintf(lock, sizeof lock, "%s/%s.lock", w->in.run, w->in.service);
	w->in.empty = empty;
	(void)snprintf(keys, sizeof keys, "%s/%s.keys", w->in.run, w->in.service);
	w->in.keys = keys;
	if (w->in.control[0] != '/' || w->in.run[0] != '/' || w->in.queue[0] != '/' || w->in.libexec[0] != '/')
		return why_set(why, MALFORMED, "directories must be absolute");
	if (geteuid() != 0)
		return why_set(why, REFUSED, "warden must be started by root; its processes give root up");
	(void)umask(022);
	if ((r = process_inherit(self, why)) != OK || (r = process_confine(self, why)) != OK)
		return r;
	if ((r = instance_prepare(&w->in, why)) != OK)
		return r;
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0)
		return why_set(why, REFUSED, "another warden has %s", lock);
	if ((r = read_control(w, why)) != OK)
		return r;
	return sockets_open_doors(&w->sockets, &w->in, why);
}

int
main(int argc, char *argv[])
{
	static struct warden w;
	struct process self = { .may = &warden_privileges };
	struct why why = WHY_NONE;
	enum result r;

	about(argc, argv, "warden", usage_text);
	self.service = parse(argc, argv, &w.in);
	log_open("warden", self.service);
	(void)sigemptyset(&w.signals);
	(void)sigaddset(&w.signals, SIGTERM);
	(void)sigaddset(&w.signals, SIGINT);
	(void)sigaddset(&w.signals, SIGHUP);
	(void)sigaddset(&w.signals, SIGALRM);
	(void)sigaddset(&w.signals, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &w.signals, NULL) != 0)
		return 111;
	if (house_members(self.service, (const char *[HOUSE_MEMBERS_MAX]){ 0 }) == 0)
		r = why_set(&why, ABSENT, "there is no service %s", self.service);
	else
		r = begin(&w, &self, &why);
	if (r != OK)
		return process_refuse(&self, r, &why);
	run(&w);
	return 0;
}
