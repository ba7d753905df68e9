/* The start of every process: begin, inherit, confine; only then may anything be parsed. Nothing else in the tree
 * changes rights. */
#pragma once

#include "base/result.h"
#include "sys/privileges.h"

#include <sys/types.h>

struct process {
	const struct privileges *may;
	const char *service; /* "smtpd", "send": for the log */
	const char *root;    /* directory to become the root; null for HOST_ROOT */
	const char *below;   /* GIVEN_HOME: where to stand, below root; made if it is not there. Else null */
	uid_t uid;
	gid_t gid;
	const char *own_ids; /* uids of the house, with commas between: what lspawn never becomes; else null */
	const char *groups;  /* supplementary groups of its user, with commas between; null: none */
	bool same_user;      /* --same-user: somebody who is not root started it for himself; it can't become another */
	const char *
	    ports; /* to which it may connect besides those of its table, with commas between; "any": to all. Else null */
	unsigned sessions; /* of its service, at a time; 0: it was not told */
	bool lenient;      /* --lenient: an administrator's control item says that a kernel without landlock will do */
	int attempt;       /* the breach drill's attempt number; 0: none. Only a drill build has it */
};

/* Reads the arguments that warden (or lspawn) gives: -n SERVICE -u UID -g GID [-v VERSION] [-r ROOT] [-b BELOW] [-x UIDS]
 * [-s GIDS] [-m SESSIONS] [--lenient] [--same-user]. A VERSION that is not this build's ends the program with a line in the
 * log. Other arguments end the program with its purpose and exit status 100. Opens the log. */
struct process process_begin(int argc, char *argv[], const struct privileges *may);

/* Checks that exactly the descriptors of the table are open, of the right kind; 0 and 1 become /dev/null. Closes all
 * others. MALFORMED if one is missing or of another kind. The number of an optional one that is absent shows /dev/null. */
enum result process_inherit(const struct process *self, struct why *why);

/* Gives up everything that the table does not name, in the order of doc/HOUSE 6, and checks that it is gone. REFUSED if
 * the kernel can't do it: the process must not go on. */
enum result process_confine(const struct process *self, struct why *why);

/* The same for a process of GIVEN_HOME, which goes to its home (sys/home.h) and answers if it can't use that. OK with a text in *away (empty before):
 * the home, or the directory below it, can't be used, for that reason; the process is confined like any other and may
 * reach no path at all. */
enum result process_confine_home(const struct process *self, struct why *away, struct why *why);

/* Whether the kernel has landlock here: a container may hide it. Without it process_confine refuses, unless `lenient`. */
bool process_may_use_landlock(void);

/* Logs why the process can't run; returns its exit status. */
int process_refuse(const struct process *self, enum result r, const struct why *why);

/* How many of a slot's `many` descriptors are there. */
int process_count_fds(const struct privileges *may, const char *slot);

#define PROCESS_SPENT 99 /* exit status of a zygote that wants to be replaced: a child of it died of a signal */
