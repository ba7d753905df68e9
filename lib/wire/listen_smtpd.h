/* What passes between `listen` and the door of a front end: a connection and its channel to `policy`. */
#pragma once

#include "base/id.h"
#include "wire/wire.h"

#define LS_LISTEN WIRE_FIRST
#define LS_SMTPD WIRE_SECOND

struct ls_session {
	char conn[ID_LEN + 1]; /* id of the connection, for the log */
	uint32_t spare;
};

/*	message		body			tail fds sender	 how often */
#define LISTEN_SMTPD(M) \
	M(LS_SESSION, struct ls_session, 0, 2, LS_LISTEN, \
	    ANY) /* fds: connection; session's end of its channel to policy */
WIRE_PROTOCOL(listen_smtpd, LISTEN_SMTPD)
