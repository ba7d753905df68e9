/* Where a process of GIVEN_HOME stands. */
#pragma once

#include "sys/process.h"

/* Goes to self->root, and to self->below in it, which is made if it is missing; both must belong to the process's user,
 * whose ids the process has by now. The process may stand in its home already, having gone there as root. MALFORMED: the
 * process was told no home. REFUSED, EXHAUSTED, BROKEN: `why` names the directory and says what is wrong with it. */
enum result home_go(const struct process *self, struct why *why);
