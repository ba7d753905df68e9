/* For a command that starts somebody else's program. */
#pragma once

#include "base/result.h"

#include <sys/types.h>

/* Becomes uid and gid, with that group alone, and checks that root can't be regained. A process that is not root stays who it
 * is, and is refused another uid. Nothing else is given up: the program that follows is not ours. uid 0: only the groups
 * change. */
enum result process_become(uid_t uid, gid_t gid, struct why *why);

/* For a program that is not ours among others of its uid: a landlock domain of its own, so that it can neither trace nor read the
 * memory of what is outside, nor signal it, where the kernel knows how to forbid that. Needs no_new_privs. Nothing else changes for
 * it. ABSENT: the kernel can't. */
enum result process_wall_off(struct why *why);

/* For what somebody who is not root starts for himself: a user namespace of its own, where the process may change its root
 * directory, and a network namespace without any network. What the kernel does not grant is left: process_confine does
 * what can be done without. BROKEN: it was granted by half. */
enum result process_apart(struct why *why);
