/* postern plan: the plan of processes, and the running ones against it. */
#pragma once

#include "sys/privileges.h"

/* argv[0] is "plan"; then --live, -R RUNDIR, or a process's name. Returns the exit status: 0; 1 if a running process
 * deviates or one is missing; 100 wrong use; 111 it could not be found out. */
int plan_main(int argc, char *argv[]);

/* The privileges of a process by name; null if there is none. */
const struct privileges *plan_privileges(const char *process);

/* Compares the instance whose wardens write below run_dir with the plan and prints a line a process and one for each
 * deviation. Exit status as above. */
int plan_live(const char *run_dir);
