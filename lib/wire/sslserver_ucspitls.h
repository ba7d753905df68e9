/* What passes between `sslserver` and the door of `ucspitls`: a connection whose program may start TLS on it. */
#pragma once

#include "wire/policy_tls.h"

#define US_SSLSERVER WIRE_FIRST
#define US_UCSPITLS WIRE_SECOND

#define US_COMMAND 'y'   /* what the program writes on the control stream: start TLS */
#define US_VARIABLES 'Y' /* the same, and say what is known: NAME=value, zero octet, …, zero octet */

struct us_session {
	struct pt_session tls; /* for the engine; its `variables` are decided by the program */
	uint32_t pid;          /* of the program, for the log */
	uint32_t verbose;      /* 1: handshakes are told */
};
/* tail: as in PT_SESSION.
 * fds: the connection; the other end of the program's control stream; the engine's end of the plaintext */

/*	message		body			tail fds sender	 how often */
#define SSLSERVER_UCSPITLS(M) M(US_SESSION, struct us_session, 6144, 3, US_SSLSERVER, ANY)
WIRE_PROTOCOL(sslserver_ucspitls, SSLSERVER_UCSPITLS)
