/* One end of a channel. */
#pragma once

#include "wire/wire.h"

struct channel {
	int fd;
	const struct wire_protocol *protocol;
	enum wire_side me;
	bool waits;    /* blocks in send and receive (sessions); else AGAIN is the answer (event loops) */
	bool crowded;  /* the last message could not be sent yet: too many descriptors are under way (wire/crowd.h) */
	uint64_t once; /* messages of the other side that came and may not come again */
};

struct channel channel_of(int fd, const struct wire_protocol *p, enum wire_side me, bool waits);

/* A new pair; both ends close-on-exec. EXHAUSTED if there are no descriptors. */
enum result channel_pair(int fds[2], struct why *why);

/* Sends one message; `body` must be of the list's body type (null for wire_nothing), `tail` at most the list's
 * maximum. The descriptors stay the caller's. OK; AGAIN (would block, or c->crowded); ABSENT (nobody at the other end); EXHAUSTED
 * (a channel that waits, crowded for longer than its patience); BROKEN. */
enum result channel_send(struct channel *c, uint16_t type, uint64_t ref, const void *body, struct bytes tail,
    const int *fds, struct why *why);

/* Whether this side may send a message of that type with such a tail: OK or BROKEN. channel_send asks it itself. */
enum result channel_may_send(const struct channel *c, uint16_t type, struct bytes tail, struct why *why);

/* Receives and checks one message into *buffer. OK; AGAIN (nothing there, or the receive timeout of the socket);
 * ABSENT (the other end is closed); MALFORMED (the conversation must end); BROKEN. Descriptors are received
 * close-on-exec; those of a malformed message are closed. */
enum result channel_receive(struct channel *c, struct wire_buffer *buffer, struct wire_message *m, struct why *why);

/* After ABSENT: whether the other side is gone, and it was no empty message. */
bool channel_is_over(const struct channel *c);

void channel_close(struct channel *c); /* fd becomes -1 */
