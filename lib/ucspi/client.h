/* The client side of ucspi: connects, and hands the connection to a program as descriptors 6 and 7. */
#pragma once

#include "ucspi/environment.h"
#include "ucspi/options.h"

#define CLIENT_READ_FD 6
#define CLIENT_WRITE_FD 7

struct client_options {
	const char *command; /* "tcpclient", "sslclient" */
	enum say_level level;
	const char *host, *port;
	char **program;
	const char *local_ip, *local_port, *local_name, *interface;
	unsigned first_seconds, second_seconds; /* of a try to connect, in each of two rounds */
	unsigned ident_seconds, handshake_seconds, idle_seconds;
	bool only_ipv4, only_ipv6, look_up_name, ask_ident, delay;
	/* TLS */
	const char *ca_file, *ca_dir, *certificate, *key, *passphrase_file, *ciphers;
	unsigned depth;
	bool passphrase, verify, match_name, name_indication, variables, tcp_variables;
};

/* Reads them; a wrong line ends the program with its usage and status 100. tls: with the options of sslclient, which have
 * defaults in the environment (CAFILE, CADIR, CERTFILE, KEYFILE, CIPHERS, VERIFYDEPTH). */
void client_options_read(struct client_options *o, const char *command, bool tls, int argc, char *argv[]);

/* Connects, finds out about both ends and sets the environment; ends the program with status 111 if it can't. */
int client_connect(const struct client_options *o, bool tls, struct ends *e);

/* Puts the two descriptors in place, with the usual signals, and becomes the program. */
__attribute__((noreturn)) void client_execute(const struct client_options *o, int in, int out);
