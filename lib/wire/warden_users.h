/* What `warden` says to each process that looks into the table of users: the table, and whenever it has changed the new one.
 * warden reads nothing here. */
#pragma once

#include "wire/wire.h"

#define WU_WARDEN WIRE_FIRST
#define WU_READER WIRE_SECOND

/*	message		body			tail fds sender	 how often */
#define WARDEN_USERS(M) \
	M(WU_TABLE, struct wire_nothing, 0, 1, WU_WARDEN, \
	    ANY) /* fd: the table (control/users_table.h), sealed. The first is there when the process starts */
WIRE_PROTOCOL(warden_users, WARDEN_USERS)
