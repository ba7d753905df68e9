/* The attempts of the breach drill, as rows: what lib/sys/drill.c goes through. Only in a drill build. */
#pragma once

#include "sys/process.h"

struct drill_row {
	const char *name;
	long (*make)(void); /* 0 or more: it got what it wanted; else -1 with errno */
	long call;          /* if there is no function: the number of a call to make without sense */
};
/* A row without a name ends each list. */
extern const struct drill_row drill_on_files[], drill_on_rights[], drill_on_content[];

extern const struct process *drill_self; /* who is taken over */

/* What the test aims an attempt at: an environment variable, "" or -1 if there is none. */
const char *drill_aim(const char *name);
int drill_aim_number(const char *name);
