/* The command lines of tcpserver and sslserver. */
#pragma once

#include "ucspi/say.h"

#include <sys/types.h>

struct server_options {
	const char *command; /* "tcpserver", "sslserver" */
	enum say_level level;
	const char *host, *port;
	char **program;
	const char *rules, *early_rules; /* cdb files; null: none */
	const char *banner, *local_name, *interface;
	unsigned concurrency, backlog, ident_seconds;
	unsigned handshake_seconds, idle_seconds; /* TLS */
	uid_t uid;
	gid_t gid;
	bool rules_may_lack, print_port, only_ipv4, as_ipv6, look_up_name, certain_name, ask_ident, keep_route, delay;
	bool starttls, variables, tcp_variables, passphrase; /* TLS: -n -s -e -3 */
	char client_certificate;                             /* TLS: z, m, Z, or 0: not said */
};

/* Reads them; a wrong line ends the program with its usage and status 100. tls: with the options of sslserver. */
void server_options_read(struct server_options *o, const char *command, bool tls, int argc, char *argv[]);

/* A user or group by name or number. False: there is none. *gid is that of the user's passwd entry, if there is one. */
bool options_user(const char *text, uid_t *uid, gid_t *gid);
bool options_group(const char *text, gid_t *gid);
/* A TCP port by number or name; ends the program if there is none of that name. */
uint16_t options_port(const char *text);
bool options_number(const char *text, unsigned max, unsigned *n);
