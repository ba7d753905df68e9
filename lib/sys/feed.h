/* Running a program that reads standard input, with lines of our own in front of what comes there. */
#pragma once

/* Starts argv[0] (looked for in PATH), with a pipe for its standard input; writes the lines of in_front (null at the end) and then
 * all of its own standard input, from the present offset. Returns the program's exit status: as run_program (sys/run.h). A program that
 * ends before it has read all is fine. */
int feed_program(const char *program, const char *const in_front[], char *const argv[]);
