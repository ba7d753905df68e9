/* What a program learns of its connection. */
#pragma once

#include "ucspi/lookup.h"

/* The two ends; a name that is not known is "". */
struct ends {
	struct address local, remote;
	char local_text[ADDRESS_TEXT], remote_text[ADDRESS_TEXT];
	char local_name[LOOKUP_NAME_MAX + 1], remote_name[LOOKUP_NAME_MAX + 1], remote_info[LOOKUP_NAME_MAX + 1];
};

/* Takes the local address of a connection whose remote one is known, and puts both in text. as_ipv6: IPv4 addresses are shown
 * as IPv6. False: the connection has gone. */
bool ends_find(struct ends *e, int connection, bool as_ipv6);

/* Which of the names are asked for, how. */
struct ends_wanted {
	const char *local_name; /* known without asking; else null */
	bool remote_name, certain, info;
};
void ends_look_up(struct ends *e, const struct lookup *l, const struct ends_wanted *w);

/* PROTO, and TCP…, TCP6…, SSL… of the ends; what has no value is removed, and with it all that
 * tells of a handshake (SSL_PROTOCOL, SSL_CLIENT_…, …). tls: those of SSL; tcp: those of TCP. */
void environment_set(const struct ends *e, bool tls, bool tcp);
void environment_put(const char *name, const char *value); /* null removes it */
void environment_number(const char *name, unsigned n);

/* True if NAME=value is one of those that tell of a handshake: SSL_PROTOCOL, SSL_CLIENT_…, and so on. What else begins with
 * SSL_ is somebody else's: OpenSSL in the program would look at SSL_CERT_FILE. */
bool environment_tells_of_handshake(struct bytes variable);

/* The list of ucspitls: NAME=value, zero octet, …, zero octet; those that tell of a handshake are put. The zero octets are
 * there. */
void environment_take(struct bytes list);
