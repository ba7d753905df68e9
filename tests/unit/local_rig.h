/* A run of local's deliveries in a child; the working directory is the home. */
#pragma once

#include "failing.h"
#include "wire/channel.h"
#include "wire/send_local.h"

#include <sys/types.h>

#define TRACE "Received: by x;\r\n\tMon\r\n"

struct run {
	struct channel local;
	pid_t pid;
};

struct local_fault {
	enum failing_call call;
	unsigned n; /* 0: none fails */
	int error;
	bool singly; /* each file is flushed by itself */
};

extern struct local_fault fault; /* of the next run */
extern struct why away;          /* of the next run: why its home can't be used */
extern uint32_t next_flags;      /* of deliveries: SD_MAKE_MAILDIR, unless it is set otherwise */
extern char told[WHY_MAX + 1];   /* the text of the last answer */

struct run begin_run(void);
int end_run(struct run *r); /* its status */
void send_one(struct run *r, uint64_t ref, const char *maildir, const char *recipient);

/* The outcome for the next that is answered: its enhanced status as a number, 200, 470, … */
unsigned answer_of(struct run *r, uint64_t *ref);
unsigned deliver_one(struct run *r, const char *maildir);
