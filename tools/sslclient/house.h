/* A house for one connection: its own directories, certificates and processes. */
#pragma once

#include "house/generation.h"
#include "ucspi/client.h"

#define HOUSE_PATH 1000

struct small_house {
	struct instance in;
	struct generation processes;
	struct command_ends ends;
	char run[256], empty[300], keys[400], label[64];
	bool own_run; /* the run directory is ours to remove */
	/* What the certificates are known by: whole paths; "" for none. */
	char certificate[HOUSE_PATH], key[HOUSE_PATH], passphrase[HOUSE_PATH], ca_file[HOUSE_PATH], ca_dir[HOUSE_PATH];
};

/* Makes the directories, reads the certificates that the options name, starts tls and keyload; ends the program if it
 * can't. passphrase_fd: -1: none. */
void small_house_open(struct small_house *h, const struct client_options *o, int passphrase_fd);

/* The processes end with their session; what was on disk for them goes. */
void small_house_close(struct small_house *h);
