/* Where a process of GIVEN_HOME stands. */
#pragma once

#include "sys/process.h"

/* Goes to self->root, and to self->below in it, which is made if it is missing; both must belong to the process's user,
 * whose ids the process has by now. The process may stand in its home already, having gone there as root. MALFORMED: the
 * process was told no home. REFUSED, EXHAUSTED, BROKEN: `why` names the directory and says what is wrong with it. */
enum result home_go(const struct process *self, struct why *why);

/* qmail's signs that the user is at work on the mailbox, or that somebody else could be. Looks at the working directory, unless
 * `away` says already why the home can't be used. OK; AGAIN: it is sticky; REFUSED: not to be used; BROKEN: it can't be looked at. */
enum result home_look(const struct why *away, struct why *why);
