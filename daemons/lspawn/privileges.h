/* What `lspawn` may do, and where its descriptors are. */
#pragma once

#include "sys/privileges.h"

enum {
	LSPAWN_SEND_FD = 4,
	LSPAWN_LOCAL_FD = 5,
	LSPAWN_AUTH_FD = 6,
	LSPAWN_POP3BOX_FD = 7,
	LSPAWN_USERS_FD = 8,
	LSPAWN_INSTRUCT_FD = 9
};

extern const struct privileges lspawn_privileges;
