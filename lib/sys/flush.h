/* Flushes (fsync) off the event loop: a pool of threads takes jobs and hands them back done. Two ways, chosen by what
 * the machine shows: a group of jobs by one syncfs (cheapest by far while the filesystem holds little but mail), or
 * file by file in parallel, once a syncfs was slow or failed. Behind a syncfs each file is asked for errors of its own
 * (sync_file_range). doc/STATES 3 says what a flush must cover.
 *
 * The threads do nothing but fsync, syncfs, sync_file_range and futex; they are made after process_confine (MAY_THREAD, MAY_WRITE_AT)
 * and take no signals. */
#pragma once

#include "base/result.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define FLUSH_THREADS_MAX 16u

/* The caller's memory, usually a member of what is to be flushed; not to be touched between submit and collect. */
struct flush_job {
	int fd;        /* the file; stays the caller's */
	int dir_fd;    /* its directory, or -1; flushed after the file */
	enum result r; /* OK: on disk. Else (EXHAUSTED, BROKEN) it may not be, now or ever: throw it away */
	int error;     /* errno of the failure */
	struct flush_job *next;
};

struct flush {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct flush_job *pending, **pending_end;
	struct flush_job *done;
	unsigned n_pending, n_idle, n_threads;
	pthread_t threads[FLUSH_THREADS_MAX];
	int event_fd;
	int group_fd; /* on the filesystem, for syncfs; -1: never in groups */
	bool group_runs, closing;
	uint64_t group_began_ms;
	uint64_t single_until_ms;                /* no groups before that */
	uint64_t n_groups, n_singles, n_flushed; /* for the log and tests */
};

/* Whether this kernel tells all failures of a syncfs (Linux 5.17; before that some were lost, and a group must not be
 * trusted). Call before process_confine. */
bool flush_may_trust_groups(void);

/* Starts n threads (1 to FLUSH_THREADS_MAX). group_fd: any descriptor on the filesystem of all jobs (kept, the
 * caller's), or -1 for no groups. EXHAUSTED: no threads. In place: *f must not move. */
enum result flush_open(struct flush *f, unsigned n, int group_fd, struct why *why);

/* Readable when jobs are done; watch it in the loop. */
int flush_fd(const struct flush *f);

/* Hands over a chain of jobs (linked by next); they are done in any order. */
void flush_submit(struct flush *f, struct flush_job *chain);

/* Takes all jobs that are done; null if none. */
struct flush_job *flush_collect(struct flush *f);

/* Call now and then (once a second) while jobs are out: one that waits behind a slow group is done by itself. */
void flush_poke(struct flush *f);

/* Waits for what runs, ends the threads; jobs not begun come back as BROKEN by flush_collect. */
void flush_close(struct flush *f);

/* Without threads, for who may wait: flushes the chain now; as a group if `groups` (see flush_may_trust_groups), it has
 * more than one job and all lie on one filesystem. Each job's r and error are set. */
void flush_now(struct flush_job *chain, bool groups);
