/* A process's table of users, as warden hands it over: the first before anything else is done, later ones as they come. */
#pragma once

#include "control/control.h"
#include "wire/port.h"

struct users_follower {
	struct channel channel; /* for who has no loop */
	struct port port;       /* for who has one */
	struct control *control;
};

/* Takes the first table, which is there already, into the configuration. ABSENT, MALFORMED, BROKEN: there is none. */
enum result users_follow(struct users_follower *f, int fd, struct control *control, struct why *why);

/* Takes each later one from the loop, in an event of its own: nothing that was found in a table may be kept longer than the
 * event in which it was found. */
enum result users_follow_in(struct users_follower *f, struct loop *loop, struct why *why);

/* Without a loop: takes all that wait. */
void users_follow_now(struct users_follower *f);
