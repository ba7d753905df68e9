/* The breach drill: only in a build of ./configure --drill. A process that has confined itself is told "you are taken
 * over" and tries one thing that its rights should not let it do; tests/privileges says what must come of each. */
#pragma once

#include "sys/process.h"

/* Makes attempt number self->attempt (from 1), writes a line "drill attempt=NAME outcome=done|refused error=NUMBER" or
 * "drill end" (there is no such attempt) to the log and ends the process, unless the kernel has ended it.
 * What it aims at comes from the environment: DRILL_FILE, DRILL_QUEUE, DRILL_DOOR (paths), DRILL_PID (a process of the
 * same user), DRILL_PORT (of 127.0.0.1). */
__attribute__((noreturn)) void drill_attempt(const struct process *self);
