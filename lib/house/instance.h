/* One installation as a warden sees it: its directories, its users. */
#pragma once

#include "base/result.h"
#include "control/user_rule.h"
#include "sys/privileges.h"

#include <sys/types.h>

#define OWNER_GROUPS_MAX 32

struct owner {
	uid_t uid;
	gid_t gid;
	gid_t groups[OWNER_GROUPS_MAX]; /* besides gid: for a process that keeps the groups of its user */
	size_t n_groups;
};

struct programs;

struct instance {
	const char *control; /* directories, absolute */
	const char *run;
	const char *queue;
	const char *libexec;
	const char *service;
	const struct programs *programs; /* where they are held open; null: executed by name */
	const char *empty;               /* root of processes that have no files */
	bool lenient;                    /* the control item: a kernel without landlock will do */
	const char *keys;                /* of the service, RUN/SERVICE.keys: written by keyring, read by keyload */
	const char *label;               /* of a command: takes the place of the service in names of files; else null */
	bool same_user;           /* of a command: started by somebody who is not root, and all that it starts is his */
	unsigned sessions;        /* of a command: how many connections it may have at a time */
	struct owner engine;      /* of a command: who `tls` runs as; uid 0: its user */
	struct users_feed *users; /* the table of users; null: nobody is given it */
};

/* Who a process with that role (the `user` of its privileges) runs as in this service. "root" is 0. ABSENT if there is no such
 * user; REFUSED if its uid or gid is root's. */
enum result instance_owner(const struct instance *in, const char *role, struct owner *owner, struct why *why);

/* The same of a user of the house by name (house_users): from the control file `uids` (lines NAME:UID:GID or NAME:UID:GID,GROUP…)
 * if there is one, else the passwd entry of the user prefix and that name. */
enum result instance_user(const struct instance *in, const char *name, struct owner *owner, struct why *why);

/* Adds the uids and groups of all users of the house, of every service, to those as which nothing is delivered. */
void instance_add_own(const struct instance *in, struct user_bounds *bounds);

/* Its supplementary groups with commas between; false if there are none. */
bool owner_list_groups(const struct owner *owner, char *text, size_t size);

/* Makes the run directory, the empty root, the queue and the key directory, with their owners and modes, if they are not
 * there; refuses those that are there with others. */
enum result instance_prepare(const struct instance *in, struct why *why);

/* The directories that a start of the service needs, one after the other, each with what it must be; until `look` returns
 * something else than OK. As instance_owner, if a user is missing. */
typedef enum result instance_look(void *ctx, const char *path, mode_t mode, const struct owner *owner, struct why *why);
enum result instance_each_directory(const struct instance *in, instance_look *look, void *ctx, struct why *why);

/* The root directory of a process; null if that is the host's. */
const char *instance_root(const struct instance *in, const struct privileges *p);
