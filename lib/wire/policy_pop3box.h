/* What `policy` says to a user's `pop3box`: one message, before it is known who the user will be. The channel goes through auth and
 * lspawn, which say that, and cannot be used for anything else. pop3box keeps it until its end: policy sees when it closes. */
#pragma once

#include "base/id.h"
#include "wire/wire.h"

#define PB_POLICY WIRE_FIRST
#define PB_POP3BOX WIRE_SECOND

#define PB_USER_MAX 320
#define PB_AHEAD_MAX 4096

enum pb_flag {
	PB_SECURE = 1 << 0, /* the connection is the plaintext of a TLS session */
	PB_UTF8 = 1 << 1,   /* the client said UTF8 (RFC 6856) */
};

struct pb_session {
	char conn[ID_LEN + 1]; /* for the log */
	uint32_t idle_seconds; /* without any octet from the peer */
	uint32_t session_seconds;
	uint32_t max_errors; /* -ERR replies before the end */
	uint32_t flags;      /* enum pb_flag */
}; /* tail: the user, for the log; octets that were read behind the login, which are the first that the client says now */

/*	message		body			tail fds sender	 how often */
#define POLICY_POP3BOX(M) \
	M(PB_SESSION, struct pb_session, PB_USER_MAX + PB_AHEAD_MAX + 4, 1, PB_POLICY, ONCE) /* fd: the connection */
WIRE_PROTOCOL(policy_pop3box, POLICY_POP3BOX)
