/* What passes between `send` (or `auth`) and `lspawn`: who is to be started, with which channel. */
#pragma once

#include "wire/wire.h"

#define SL_SEND WIRE_FIRST
#define SL_LSPAWN WIRE_SECOND

struct sl_spawn {
	uint32_t uid;
	uint32_t gid;
}; /* tail: user's name; home directory, absolute */

/*	message		body			tail fds sender	 how often */
#define SEND_LSPAWN(M) \
	M(SL_SPAWN, struct sl_spawn, 4096, 1, SL_SEND, ANY) /* fd: local's end of its channel (send_local.h) */ \
	M(SL_REFUSED, struct wire_nothing, WHY_MAX, 0, SL_LSPAWN, \
	    ANY) /* tail: text. The spawn with this ref did not happen */
WIRE_PROTOCOL(send_lspawn, SEND_LSPAWN)
