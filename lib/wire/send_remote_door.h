/* What passes between `send` and the zygote of `remote`: that one more session is wanted. */
#pragma once

#include "base/id.h"
#include "wire/wire.h"

#define RD_SEND WIRE_FIRST
#define RD_REMOTE WIRE_SECOND

struct rd_session {
	char conn[ID_LEN + 1]; /* for the log */
};

/*	message		body			tail fds sender	 how often */
#define SEND_REMOTE_DOOR(M) \
	M(RD_SESSION, struct rd_session, 0, 1, RD_SEND, ANY) /* fd: the session's end of its channel (send_remote.h) */
WIRE_PROTOCOL(send_remote_door, SEND_REMOTE_DOOR)
