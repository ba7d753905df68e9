/* A warden's own state, and its parts: children.c, starts.c, reload.c, state.c; main.c joins them. */
#pragma once

#include "house/generation.h"
#include "house/programs.h"
#include "house/users_feed.h"

#include <signal.h>

#define WARDEN_OLD_MAX 16 /* generations that still end their sessions */

struct warden {
	struct instance in;
	char *const *options; /* of the command line: what a new version of this program is executed with */
	struct control_source source;
	struct programs programs; /* what the generations from now on are started from */
	struct sockets sockets;
	struct users_feed users;
	struct generation current, old[WARDEN_OLD_MAX];
	struct generation coming; /* beside `current`, until it has shown that it can run */
	sigset_t signals;
	int lock_fd, state_fd;
	bool has_source; /* source and programs are there */
	unsigned n_generations;
	unsigned n_reloads;   /* in all versions of this warden */
	unsigned failures;    /* in a row, each soon after its start */
	uint64_t started;     /* clock_ms of the current generation */
	bool waits_for_other; /* said so already */
	bool coming_failed;
	bool replace, reload, end;
	bool rehearses;  /* only says whether it could serve */
	bool taken_over; /* executed by the version before, whose processes run */
};

/* ---- main.c ---- */

/* Takes the control directory and the programs as they are now. If anything is wrong with them, nothing changes. */
enum result warden_read(struct warden *w, struct why *why);

/* ---- children.c ---- */

/* Waits at most ms for a signal; takes note of it, and of the ends of children. */
void warden_wait(struct warden *w, uint64_t ms);

/* SIGTERM; after some seconds SIGKILL. Returns when all members of g have ended. */
void warden_end_generation(struct warden *w, struct generation *g);
void warden_end_everything(struct warden *w);

/* The current generation takes no new work and goes on until its sessions are over. */
void warden_put_aside(struct warden *w);

/* ---- starts.c ---- */

/* Starts the next generation in the place of the current one, at once; or logs why it can't. */
void warden_start(struct warden *w);

/* Starts the next generation after a reload. Where generations may overlap the current one goes on until the next has shown that
 * it can run, and stays if it can't: REFUSED. */
enum result warden_start_checked(struct warden *w, struct why *why);

/* A member of the current generation has ended: the next one takes its place, if it is one that is replaced alone and has not failed too
 * often; else the generation is to be replaced. spent: it ended because a session of it died of a signal. */
void warden_replace_member(struct warden *w, struct member *m, bool spent);

/* How long to wait before a generation that failed is followed by the next. */
uint64_t warden_pause(struct warden *w);

/* ---- reload.c ---- */

/* SIGHUP: executes the installed version of this program with all that this one holds; does not return then. If that version can't
 * serve with the control items as they are, that is logged and nothing changes. */
void warden_reload(struct warden *w);

/* The second half, in the program that was executed. */
void warden_resume(struct warden *w);

/* What warden -t does: takes over state_fd, reads everything, prints on standard output why it can't serve. Returns the exit status. */
int warden_rehearse(struct warden *w);

/* Writes RUN/SERVICE.status: what postern reload reads. result OK: a start or a reload. */
void warden_write_status(const struct warden *w, enum result result, const struct why *why);

/* ---- state.c ---- */

/* All that the next version needs, as text in a memory file: *fd is the caller's. */
enum result warden_save(const struct warden *w, int *fd, struct why *why);

/* Keeps the descriptors that the state names open across execve, or not. */
void warden_pass_on(const struct warden *w, bool on);

/* Takes what warden_save wrote, of this version or another. MALFORMED if it is not of a form known here. */
enum result warden_load(struct warden *w, int fd, struct why *why);
