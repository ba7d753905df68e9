/* Running another program and waiting for its end: for the small programs that people put into .qmail lines. */
#pragma once

/* Runs argv[0], looked for in PATH, with the caller's descriptors and environment; argv ends with a null. Returns its exit status.
 * 111: a signal ended it, or it can't be run now; 100: it can't be run at all (it is not there, or not executable).
 * `program` is the name of the caller, for what is said on standard error if it can't be run. */
int run_program(const char *program, char *const argv[]);

/* The same in place of the caller: it does not return if argv[0] can be run. Else the exit status as above. */
int run_instead(const char *program, char *const argv[]);
