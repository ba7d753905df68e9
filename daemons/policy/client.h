/* Who is connected, and what the connection rules make of it. */
#pragma once

#include "policy/settings.h"
#include "wire/listen_policy.h"

#define CLIENT_NAME_MAX 48

struct session_tls;

struct client {
	struct lp_peer peer;
	char name[CLIENT_NAME_MAX]; /* address as text; "local" for a program of this host */
	struct bytes host;          /* reverse name; at null while nobody has looked it up */
	struct bytes rule;          /* data of its rule */
	const struct settings *settings;
	bool is_local_program;
	bool relays;
	struct bytes relay_suffix; /* RELAYCLIENT: put behind each recipient */
	struct bytes helo_check;   /* HELOCHECK; at null: not asked for */
	uint64_t max_octets;       /* 0: no limit */
	uint32_t max_recipients;
	bool excused_bare_lf;
	const struct session_tls *tls; /* null while the session is in plain text */
};

/* Finds the client's rule and what it grants; host: its confirmed name, at null if there is none. OK; REFUSED: the rules deny the connection; BROKEN: they can't be read. */
enum result client_meet(struct client *c, const struct settings *s, const struct lp_peer *peer, struct bytes host);

/* A variable of the client's rule or else of the item `variables`; false if it has none of that name. */
bool client_variable(const struct client *c, const char *name, struct bytes *value);
