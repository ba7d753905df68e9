/* The table of users of a service: made by a child of warden, handed to each process that has a slot "users", and made anew
 * when the accounts of the host or their homes have changed. */
#pragma once

#include "control/source.h"

#include <stdint.h>
#include <sys/types.h>

struct instance;
struct users_feed;

#define USERS_READERS_MAX 512 /* processes of all generations that are told of a new table */

struct users_feed {
	const struct instance *in;
	const struct control_source *source; /* the last that was taken; null: this service has no such process */
	int table_fd;                        /* the newest table; -1: none */
	uint64_t table_number;
	struct users_reader {
		int fd;          /* our end; -1: free */
		uint64_t number; /* of the table that it was sent last */
		bool starts;     /* it starts users' processes: told before those that ask it to */
	} readers[USERS_READERS_MAX];
	pid_t builder; /* the child that makes the next one; 0: none */
	int built_fd;
	uint64_t began_ms, took_ms, next_ms; /* of the last making; when the next full one is due */
	uint64_t taken_ms;                   /* when the newest table came to be */
	uint64_t homes_until_ms;             /* until then missing homes are looked for, too */
	char files_home[1024];               /* whose .qmail files are named in the table; "": nobody's */
	uint64_t files[2];                   /* what tells its names from others */
	uint64_t passwd[4];                  /* what tells a new /etc/passwd from the old one */
};

/* Before anything else. Neither closes nor opens anything. */
void users_feed_none(struct users_feed *f);

/* Makes the table for this source, in a child, and waits for it; the processes that are started from now on get that one,
 * those that run are sent it at the next look. The source must stay until the next call. OK, also where no process of the
 * service looks into the table; EXHAUSTED, BROKEN: nothing has changed. */
enum result users_feed_make(
    struct users_feed *f, const struct instance *in, const struct control_source *source, struct why *why);

/* A channel to a process that is about to be started, with the table on it; *fd is the caller's, the process's end. */
enum result users_feed_join(struct users_feed *f, bool starts, int *fd, struct why *why);

/* Looks whether something has changed; sends what is new. To be called every second or so if users_feed_is_used. */
void users_feed_look(struct users_feed *f);
bool users_feed_is_used(const struct users_feed *f);

/* A child of warden has ended; true if it was the one that makes the table. */
bool users_feed_ended(struct users_feed *f, pid_t pid, int status);
