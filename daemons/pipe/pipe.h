/* The state of `pipe`: what it was asked to run, what runs. */
#pragma once

#include "sys/loop.h"
#include "wire/port.h"
#include "wire/send_pipe.h"

#include <sys/types.h>

/* A program at work; its place in the table is the ref of its PI_RUN. */
struct job {
	struct pipe *pipe;
	pid_t pid; /* 0: nothing runs here */
	bool late;
	char id[ID_LEN + 1]; /* of the message */
	struct timer limit;
	struct source words; /* its descriptors 1 and 2 */
	size_t said_len;
	uint8_t said[PI_SAID_MAX];
};

struct pipe {
	struct loop loop;
	struct port send;
	struct source signals; /* of children */
	struct job jobs[PI_IN_FLIGHT];
	const char *home;
	struct why away; /* why the home can't be used; empty: it can */
	enum result end;
};

/* Runs until send closes the channel, which is at that descriptor. */
enum result pipe_run(struct pipe *p, int send_fd, struct why *why);

/* ---- program.c ---- */

/* The fields of a PI_RUN. */
enum { PI_COMMAND, PI_SENDER, PI_NEWSENDER, PI_LOCAL, PI_HOST, PI_USER, PI_EXTENSION, PI_DEFAULT, PI_TRACE };

/* Starts the program of the job, with the message on its descriptor 0. Else why it can't be: REFUSED, for good; EXHAUSTED, BROKEN. */
enum result program_start(
    struct job *j, const struct pi_run *run, const struct bytes fields[PI_RUN_FIELDS], int queue_file, struct why *why);
enum result children_open(struct pipe *p, struct why *why);
void children_end(struct pipe *p); /* all that run, and what they started */

/* A program is over: its answer. */
void job_conclude(struct job *j, int status);

/* ---- environment.c ---- */

#define ENVIRONMENT_MAX 40

struct environment {
	struct buf room;
	char *words[ENVIRONMENT_MAX + 1];
	size_t n;
	bool is_code; /* a value could be taken for a shell's code */
	uint8_t octets[24576];
};

/* The variables of qmail-command(8). REFUSED: a value begins like a function of a shell (CVE-2014-6271), or has a zero octet. */
enum result environment_make(struct environment *e, const char *home, const struct pi_run *run,
    const struct bytes fields[PI_RUN_FIELDS], uint64_t now_s, struct why *why);

/* ---- content.c ---- */

/* The message as a program gets it: trace fields and content, lines ended by LF, read-only, seekable, from its first octet; a file without
 * a name. */
enum result content_open(int queue_file, const struct pi_run *run, struct bytes trace, int *fd, struct why *why);
