/* The queue directory: its subdirectories, its lock, its free space, and every call that changes a name in it. */
#pragma once

#include "base/result.h"
#include "store/store.h"

#define PLACE_SPARE "spare"

struct place {
	int root, spare, damaged;
	int splits[STORE_N_SPLITS];
	uint32_t uid;        /* whose files they must be */
	int proc;            /* our own /proc/self/fd */
	uint64_t least_free; /* octets that are to stay free */
	uint64_t looked_ms;  /* when free was asked for; 0: never */
	uint64_t free;
	bool no_inodes;
};

/* Opens the current directory as the queue, alone: REFUSED if another process has it, or if its
 * filesystem can't do what is needed (anonymous files, leases). Makes what is missing, removes
 * spare files of an earlier run. */
enum result place_open(struct place *p, int proc_fd, uint32_t uid, uint64_t least_free, struct why *why);

/* Whether so many octets more may be taken, and counts them; looks at the disk once a second. OK or EXHAUSTED. */
enum result place_has_room(struct place *p, uint64_t octets, uint64_t now_ms, struct why *why);

/* Octets that may be taken; 0 if even a file can't be made. UINT64_MAX: it can't be known. */
uint64_t place_room(struct place *p, uint64_t now_ms);

/* True if so little is left that nothing should be kept for later. */
bool place_is_tight(const struct place *p);

/* A new anonymous file in the directory of this id, for reading and writing. */
enum result place_make(struct place *p, const struct id *id, int *fd, struct why *why);

/* Another open file description of the same file. */
enum result place_reopen(struct place *p, int fd, int flags, int *again, struct why *why);

/* True if fd's description is the only one that has the file open, by whomever. */
bool place_is_alone(int fd);

/* Names an anonymous file, or one that has the name `spare` in the spare directory. */
enum result place_name(struct place *p, int fd, const struct id *id, struct why *why);
enum result place_name_spare(struct place *p, const char *spare, const struct id *id, struct why *why);

/* Opens a message by its id; ABSENT if there is none. */
enum result place_find(struct place *p, const struct id *id, int flags, int *fd, struct why *why);

bool place_is_there(int fd); /* whether an open file has a name */

int place_dir(const struct place *p, const struct id *id);                       /* descriptor of its directory */
enum result place_remove(struct place *p, const struct id *id, struct why *why); /* ABSENT if there is none */

/* Moves a message that can't be understood to damaged/ and logs `why`. */
void place_set_aside(struct place *p, const struct id *id, const struct why *why);
