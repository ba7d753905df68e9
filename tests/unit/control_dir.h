/* For tests: a private control directory, and what was said about it. */
#pragma once

#include "control/control.h"
#include "control/source.h"

struct control_dir {
	char etc[64];
	bool looks_at_homes; /* homes of users have to be there and their own */
	char said[4096];     /* complaints, one a line: "error FILE:LINE: text" with FILE below etc */
};

void dir_make(struct control_dir *d);                                    /* with a service "smtpd" and an item "me" */
void dir_put(struct control_dir *d, const char *file, const char *text); /* text null: the file goes */
void dir_put_bytes(struct control_dir *d, const char *file, struct bytes what);
void dir_remove(struct control_dir *d);

/* Reads, seals and opens the configuration of a process of service smtpd. */
enum result dir_open(struct control_dir *d, const char *process, struct control *c, struct why *why);
void dir_close(struct control *c);

/* What most tests have: one directory, and the configuration that was read from it. For cmocka's set-up and tear-down. */
extern struct control_dir dir;
extern struct control control;
int dir_set_up(void **state);
int dir_tear_down(void **state);
void dir_open_as(const char *process); /* dir into control; the test fails if it is refused */
