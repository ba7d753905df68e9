/* Which program listens on a TCP port, as far as /proc tells the caller. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct port_holder {
	pid_t pid; /* 0: not known */
	char name[32];
	bool is_ours; /* a warden or listen of Postern's: the service may run already */
};

void port_holder_find(uint16_t port, struct port_holder *h);
