/* What passes between `auth` and `lspawn`: who has logged in, and the channel that tells that user's process about the session. */
#pragma once

#include "wire/wire.h"

#define AL_AUTH WIRE_FIRST
#define AL_LSPAWN WIRE_SECOND

/*	message		body			tail fds sender	 how often */
#define AUTH_LSPAWN(M) \
	M(AL_SPAWN, struct wire_nothing, 6144, 1, AL_AUTH, \
	    ANY) /* tail: key and value of a row, as in send_lspawn.h; Maildir, relative to the home. fd: pop3box's end of its
	            channel (policy_pop3box.h) */ \
	M(AL_REFUSED, struct wire_nothing, WHY_MAX, 0, AL_LSPAWN, \
	    ANY) /* tail: text. The spawn with this ref did not happen; its session ends */
WIRE_PROTOCOL(auth_lspawn, AUTH_LSPAWN)
