/* warden: starts the processes of one service, keeps its sockets, replaces what fails.
 * Trusts root's control files and programs, and the kernel's word on its children; nothing that a process of the plan writes.
 * Never leaves a process behind that it started. */
#include "warden/warden.h"

#include "config.h"
#include "house/taken.h"
#include "house/users_feed.h"
#include "sys/about.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/log_out.h"
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

#define LOOK_MS 1000 /* how often a service looks whether those that it talks to have come anew */

static void
complain(void *ctx, const struct control_complaint *c)
{
	struct log_line l;
	const struct warden *w = ctx;
	char place[600];

	if (w->rehearses && c->severity != SEVERITY_ERROR)
		return; /* said again in a moment */
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

enum result
warden_read(struct warden *w, struct why *why)
{
	struct control_from from = { w->in.control, w->in.service, readers_of(w->in.service), complain, w };
	static struct control_source new;
	struct programs programs;
	enum result r = programs_hold(&programs, &w->in, why);

	if (r != OK)
		return r;
	r = control_read(&new, &from, why);
	if (r == OK)
		r = bind_listening(w, &new, why);
	if (r == OK)
		r = users_feed_make(&w->users, &w->in, &new, why);
	if (r != OK) {
		control_forget(&new);
		programs_release(&programs);
		return r;
	}
	if (w->has_source)
		control_forget(&w->source);
	programs_release(&w->programs);
	w->source = new;
	if (users_feed_is_used(&w->users))
		w->users.source = &w->source;
	w->programs = programs;
	w->has_source = true;
	return OK;
}

static void
start_first(struct warden *w)
{
	struct why none = WHY_NONE;

	if (w->taken_over) {
		warden_resume(w);
		return;
	}
	warden_start(w);
	warden_write_status(w, OK, &none);
}

static void
run(struct warden *w)
{
	start_first(w);
	while (!w->end) {
		if (w->replace) {
			uint64_t until = clock_ms() + warden_pause(w), left;

			while ((left = clock_left_ms(until)) > 0 && !w->end && !w->reload)
				warden_wait(w, left);
			if (!w->end && !w->reload)
				warden_start(w);
		}
		if (w->reload)
			warden_reload(w);
		if (!w->replace && !w->end && !w->reload)
			warden_wait(w, w->current.has_doorways || users_feed_is_used(&w->users) ? LOOK_MS : 3600000);
		users_feed_look(&w->users);
		if (!w->replace && !w->end && generation_is_cut_off(&w->current, &w->in)) {
			log_simple(SEVERITY_INFO, "doors", "why", "a service that this one talks to has come anew");
			if (!generation_reconnect(&w->current, &w->in))
				warden_start(w);
		}
	}
	warden_end_everything(w);
}

static const char usage_text[] = "usage: warden [-c CONTROLDIR] [-R RUNDIR] [-q QUEUEDIR] [-l LIBEXECDIR] SERVICE\n";

__attribute__((noreturn)) static void
usage(void)
{
	(void)fputs(usage_text, stderr);
	exit(100);
}

/* What the next version is executed with: all but the two options that say how this one was. */
static char *options[16];

static void
keep_options(int argc, char *argv[])
{
	size_t n = 0;

	for (int i = 0; i < argc && n < nitems(options) - 1; i++)
		if (strcmp(argv[i], "-s") == 0)
			i++;
		else if (strcmp(argv[i], "-t") != 0)
			options[n++] = argv[i];
}

static const char *
parse(int argc, char *argv[], struct warden *w)
{
	struct instance *in = &w->in;
	uint64_t fd;
	int c;

	keep_options(argc, argv);
	w->options = options;
	w->state_fd = -1;
	*in = (struct instance){
		.control = POSTERN_CONTROLDIR,
		.run = POSTERN_RUNDIR,
		.queue = POSTERN_QUEUEDIR,
		.libexec = POSTERN_LIBEXECDIR,
	};
	while ((c = getopt(argc, argv, "c:R:q:l:s:t")) != -1)
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
		case 's':
			if (!bytes_to_number(bytes_of_string(optarg), 1 << 20, &fd))
				usage();
			w->state_fd = (int)fd;
			break;
		case 't':
			w->rehearses = true;
			break;
		default:
			usage();
		}
	if (w->rehearses && w->state_fd < 0)
		usage();
	if (optind + 1 != argc)
		usage();
	in->service = argv[optind];
	return in->service;
}

static enum result
name_directories(struct instance *in, struct why *why)
{
	static char empty[512], keys[512];

	(void)snprintf(empty, sizeof empty, "%s/empty", in->run);
	in->empty = empty;
	(void)snprintf(keys, sizeof keys, "%s/%s.keys", in->run, in->service);
	in->keys = keys;
	if (in->control[0] != '/' || in->run[0] != '/' || in->queue[0] != '/' || in->libexec[0] != '/')
		return why_set(why, MALFORMED, "directories must be absolute");
	if (geteuid() != 0)
		return why_set(why, REFUSED, "warden must be started by root; its processes give root up");
	return OK;
}

static enum result
take_lock(struct warden *w, struct why *why)
{
	char lock[512];

	(void)snprintf(lock, sizeof lock, "%s/%s.lock", w->in.run, w->in.service);
	w->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (w->lock_fd < 0 || flock(w->lock_fd, LOCK_EX | LOCK_NB) != 0)
		return why_set(why, REFUSED, "another warden has %s", lock);
	return OK;
}

/* In the process that the version before was. */
static enum result
take_over(struct warden *w, const struct process *self, struct why *why)
{
	enum result r;

	if ((r = warden_load(w, w->state_fd, why)) != OK || (r = instance_prepare(&w->in, why)) != OK)
		return r;
	(void)close(w->state_fd);
	generation_note_doors(&w->current, &w->in);
	if (w->rehearses)
		return OK;
	log_out_open(LOG_OUT_STANDARD_ERROR);
	if ((r = process_confine(self, why)) != OK)
		return r;
	return sockets_open_doors(&w->sockets, &w->in, why);
}

static enum result
begin(struct warden *w, struct process *self, struct why *why)
{
	enum result r;

	if ((r = name_directories(&w->in, why)) != OK)
		return r;
	(void)umask(022);
	if (w->state_fd >= 0)
		return take_over(w, self, why);
	if ((r = process_inherit(self, why)) != OK || (r = process_confine(self, why)) != OK ||
	    (r = instance_prepare(&w->in, why)) != OK || (r = take_lock(w, why)) != OK)
		return r;
	taken_collect(&w->sockets, &w->in);
	if ((r = warden_read(w, why)) != OK)
		return r;
	return sockets_open_doors(&w->sockets, &w->in, why);
}

/* A rehearsal says on standard output, too, why the service could not be served. */
static int
refuse(const struct warden *w, const struct process *self, enum result r, const struct why *why)
{
	if (w->rehearses)
		(void)printf("%s\n", why->text);
	return process_refuse(self, r, why);
}

int
main(int argc, char *argv[])
{
	static struct warden w;
	struct process self = { .may = &warden_privileges };
	struct why why = WHY_NONE;
	enum result r;

	about(argc, argv, "warden", usage_text);
	self.service = parse(argc, argv, &w);
	w.in.programs = &w.programs;
	users_feed_none(&w.users);
	w.in.users = &w.users;
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
		return refuse(&w, &self, r, &why);
	if (w.rehearses)
		return warden_rehearse(&w);
	w.taken_over = w.state_fd >= 0;
	run(&w);
	return 0;
}
