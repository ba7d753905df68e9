/* The process that starts others as the users whom it is told: lspawn, and pspawn for users' programs. */
#pragma once

#include "sys/process.h"
#include "wire/wire.h"

struct spawner_program {
	int fd;
	const char *name;
};

/* Who may ask, and for what. */
struct spawner_trade {
	int channel_fd;
	const struct wire_protocol *protocol;
	struct spawner_program programs[2];
	size_t
	    n_programs; /* more than one: the body of the request begins with the number (32 bits) of the one that is meant */
	size_t n_fields;  /* of the request: a row's key and value; the Maildir */
	uint16_t refused; /* the answer */
};

/* All that such a process does, from process_inherit on; returns its exit status. Of the trades exactly one has its channel. The
 * table of users comes on users_fd. The child has the asker's channel at descriptor 3. */
int spawner_run(const struct process *self, int users_fd, const struct spawner_trade *trades, size_t n_trades);
