/* One connection of a server: what is known of it, and its program. */
#pragma once

#include "ucspi/environment.h"
#include "ucspi/server.h"

#define DENIED_STATUS 100

struct session {
	int connection;
	int in, out; /* the program's descriptors 0 and 1; the connection, if nothing else is said */
	struct ends ends;
	unsigned n_from_address;  /* connections, with this one */
	bool certificate_in_rule; /* the rule that matched names a certificate */
};

/* In a child of the accepting process: looks up, asks the rules, sets the environment, becomes the user, executes. */
__attribute__((noreturn)) void session_run(
    struct server *s, int connection, const struct address *peer, unsigned n_from_address);
