/* What passes between `send` and `lspawn`, and between `send` and `pspawn`: who is to be started, with which channel. */
#pragma once

#include "wire/wire.h"

#define SL_SEND WIRE_FIRST
#define SL_LSPAWN WIRE_SECOND

/* Who is asked for is named by a row of the table of users (control/users_table.h): its key, and its value as the asker has
 * it. lspawn looks the key up in its own table, and starts nothing if that has another value: uid, gid and home are never
 * the asker's choice. */

enum sl_what { SL_LOCAL, SL_INSTRUCT, SL_N_WHAT }; /* by lspawn; pspawn knows one thing only, which is 0 */

struct sl_spawn {
	uint32_t what; /* enum sl_what */
};

/*	message		body			tail fds sender	 how often */
#define SEND_LSPAWN(M) \
	M(SL_SPAWN, struct sl_spawn, 4096, 1, SL_SEND, \
	    ANY) /* tail: key, value; fd: its end of its channel (send_local.h, send_instruct.h, send_pipe.h) */ \
	M(SL_REFUSED, struct wire_nothing, WHY_MAX, 0, SL_LSPAWN, \
	    ANY) /* tail: text. The spawn with this ref did not happen */
WIRE_PROTOCOL(send_lspawn, SEND_LSPAWN)
