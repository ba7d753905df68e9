/* The server side of ucspi: accepts connections on one socket and starts a program for each. */
#pragma once

#include "ucspi/address.h"
#include "ucspi/lookup.h"
#include "ucspi/options.h"

#include <signal.h>

struct session;

struct child {
	pid_t pid; /* 0: a free place */
	struct address peer;
};

struct server {
	struct server_options o;
	int listening;
	struct address here; /* where it listens */
	struct lookup lookup;
	unsigned per_address;   /* MAXCONIP; 0: no limit */
	struct child *children; /* o.concurrency of them */
	unsigned n;
	/* What a command does besides, each may be null. hang_up: SIGHUP came. ended: a child that is no session ended. end: before the end.
	 * secure: in the session's process, with all rights and the rules' variables in the environment, before it becomes the
	 * program's user. begin: afterwards, last thing before the program; in, out are its descriptors 0 and 1. */
	void (*hang_up)(struct server *s);
	void (*ended)(struct server *s, pid_t pid, int status);
	void (*end)(struct server *s);
	void (*secure)(struct server *s, struct session *c);
	void (*begin)(struct server *s, struct session *c);
	void *own; /* the command's */
};

/* Binds and listens; ends the program if it can't be. */
void server_open(struct server *s);

/* Serves until SIGTERM, then ends the program with status 0. */
__attribute__((noreturn)) void server_run(struct server *s);
