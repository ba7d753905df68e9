/* A generation: one set of a service's processes, wired together. */
#pragma once

#include "control/source.h"
#include "house/house.h"
#include "house/instance.h"
#include "house/sockets.h"

#include <sys/types.h>

struct gift {
	int source, target; /* source -1: opened in the child (its own descriptors) */
	bool ours;          /* to be closed in the parent after the start */
};

#define KEPT_MAX 8

struct member {
	const char *process;
	pid_t pid; /* 0: ended */
	struct owner owner;
	unsigned sessions; /* of its service, if its limits depend on that; else 0 */
	/* of one that is replaced alone */
	pid_t group;                /* its own pid, or that of its predecessors while sessions of theirs run */
	uint64_t began_ms;          /* clock_ms */
	unsigned n_failures;        /* in a row, each soon after its start */
	struct gift kept[KEPT_MAX]; /* what it was started with, for the next one */
	size_t n_kept;              /* 0: it can't be replaced alone */
};

struct generation {
	unsigned number;
	bool
	    held_back; /* before the start: what takes new work is stopped before it is executed, until generation_let_go */
	struct member members[HOUSE_MEMBERS_MAX];
	size_t n;
	uint64_t doors[HOUSE_DOORWAYS_MAX]; /* which socket each doorway of ours leads to; 0: none, or not ours */
	bool has_doorways;
	bool ends; /* it is being ended: no member is replaced any more */
};

/* Makes the channels, seals each process's configuration, starts all of them. On failure nothing of it runs on.
 * ABSENT: another service that it needs is not running yet. */
enum result generation_start(struct generation *g, const struct instance *in, const struct control_source *source,
    const struct sockets *sockets, struct why *why);

/* Starts member m (which has ended) anew, with what the one before was started with. REFUSED: it is not one that is replaced alone. */
enum result generation_replace_member(struct generation *g, const struct instance *in,
    const struct control_source *source, struct member *m, struct why *why);

/* Closes what was kept for members that are replaced alone. From then on none is. */
void generation_release(struct generation *g);

/* For a command that is itself a neighbour of its helpers: its ends of the channels, by slot. */
struct command_ends {
	struct command_end {
		const char *slot;
		int fd;
	} at[4];
	size_t n;
};

/* Starts the helpers of the command in->service, wired as the graph says; rack_fd (the caller's) has the certificates.
 * On success the ends are the caller's to close, on failure nothing runs on. */
enum result generation_start_for_command(
    struct generation *g, const struct instance *in, int rack_fd, struct command_ends *ends, struct why *why);
void command_ends_close(struct command_ends *ends);
int command_end(const struct command_ends *ends, const char *slot); /* -1: there is none */

/* Starts a process that is no member, with `fd` (the caller's) as its slot of that name. Its end is the caller's to await. */
enum result generation_start_helper(
    const struct instance *in, const char *process, const char *slot, int fd, pid_t *pid, struct why *why);

/* For a generation that another version of this program wired: its doorways lead to the sockets that are there now. */
void generation_note_doors(struct generation *g, const struct instance *in);

/* True if a service that this one talks to has come, or come anew, since the start: its doors are other sockets now. */
bool generation_is_cut_off(const struct generation *g, const struct instance *in);

/* Leads the doorways of members that are replaced alone to the sockets that are there now, and ends these members. False: a member that
 * is not replaced alone is cut off, too, or the socket can't be reached. */
bool generation_reconnect(struct generation *g, const struct instance *in);

/* Sends a signal to each member that still runs, and to all that they started. */
void generation_signal(const struct generation *g, int signal);

/* Lets what was held back begin its work. */
void generation_let_go(struct generation *g);

/* The member that takes new work from outside; null if there is none. */
const struct member *generation_front(const struct generation *g);

/* Ends what takes new work; the rest goes on until its sessions are over. */
void generation_retire(const struct generation *g);

/* The member with that pid; null if it is not of this generation. */
struct member *generation_find(struct generation *g, pid_t pid);
bool generation_runs(const struct generation *g);

/* Writes RUN/SERVICE.pids: a line PROCESS PID UID GID GENERATION ROOT SESSIONS for each member. */
enum result generation_write_pids(const struct generation *g, const struct instance *in, struct why *why);
