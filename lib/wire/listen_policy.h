/* What passes between `listen` and `policy`: who is connected, and that a session is over. The front end is not asked. */
#pragma once

#include "base/id.h"
#include "wire/wire.h"

#define LP_LISTEN WIRE_FIRST
#define LP_POLICY WIRE_SECOND

enum lp_family { LP_IPV4 = 4, LP_IPV6 = 6, LP_UNIX = 1 };

struct lp_peer {
	char conn[ID_LEN + 1];
	uint32_t slot;  /* listen's number for the session; comes back in LP_ENDED */
	uint8_t family; /* enum lp_family; an IPv4-mapped address comes as IPv4 */
	uint8_t spare[3];
	uint8_t remote[16]; /* network order; the first 4 for IPv4; unused for LP_UNIX */
	uint8_t local[16];
	uint16_t remote_port;
	uint16_t local_port;
	uint32_t uid; /* LP_UNIX: of the peer, as the kernel says; else UINT32_MAX */
	uint32_t pid;
	uint32_t n_sessions; /* in progress, this one included: for the log */
};

struct lp_ended {
	uint32_t slot;
};

/*	message		body			tail fds sender	 how often */
#define LISTEN_POLICY(M) \
	M(LP_PEER, struct lp_peer, 0, 2, LP_LISTEN, \
	    ANY) /* fds: policy's end of the session's channel; the connection */ \
	M(LP_ENDED, struct lp_ended, 0, 0, LP_POLICY, ANY)
WIRE_PROTOCOL(listen_policy, LISTEN_POLICY)
