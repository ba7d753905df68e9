/* Connections of `remote` that go on in TLS: handed to the engine by `send`, so that what is demanded of the peer is not for
 * the process to say that speaks with it, and a password goes to no other end of a connection than the engine's. */
#pragma once

#include "wire/port.h"
#include "wire/send_remote.h"

struct access;

/* One connection's handshake, and what came of it. */
struct securing {
	struct port facts; /* the engine's word on the handshake under way */
	struct port *to;   /* the session that waits for it */
	uint64_t ref;
	int its,
	    ours; /* its: the session's end of the plain text, until it has it. ours: the same, where lines that log in go; -1 */
	bool keeps;     /* ours is kept */
	uint8_t demand; /* enum pt_demand, of the handshake under way */
	unsigned n;     /* handshakes */
};

#define SECURING_NONE \
	{ \
		.facts.channel.fd = -1, .its = -1, .ours = -1 \
	}

/* Once, when the process is confined: the line to the engine's door (a descriptor; -1: none). */
enum result securing_open(struct loop *loop, int tls_fd, struct why *why);
void securing_close(void);

/* Begins what an RM_SECURE of the session at `to` asks for; that is answered now or later. OK; MALFORMED: it asks out of turn. */
enum result securing_begin(
    struct securing *s, const struct access *a, struct port *to, struct wire_message *m, struct why *why);

/* Whether fd, which the session shows, is the end that was made for it: what is written there only the engine reads. */
bool securing_made(const struct securing *s, int fd);

void securing_leave(struct securing *s); /* its connection ends; fine on SECURING_NONE */
