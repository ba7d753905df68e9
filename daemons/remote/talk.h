/* Octets to and from the peer, plain or as `tls` hands them on: commands gathered, replies read within a time. */
#pragma once

#include "base/buf.h"
#include "net/smtp_reply.h"

#define TALK_IN (64u << 10)
#define TALK_OUT (64u << 10)

struct talk {
	int fd;           /* -1: none */
	uint64_t ends_at; /* clock_ms: nothing waits beyond that, whatever else its caller allows; 0: no such end */
	bool ahead;       /* several replies may be under way: a line before the code of one may be a reply itself */
	size_t in_at, in_len;
	struct buf out; /* TALK_OUT octets; a caller that adds without end checks its room */
	uint8_t in[TALK_IN], out_room[TALK_OUT];
};

/* Takes the descriptor over. What was in the buffers of the one before is gone; ends_at stays. */
void talk_begin(struct talk *t, int fd);
void talk_end(struct talk *t); /* closes it */

/* Writes what was gathered. OK; AGAIN: the peer did not take it within ms; ABSENT: it has closed; BROKEN. */
enum result talk_flush(struct talk *t, uint64_t ms, struct why *why);

/* Flushes, then reads one whole reply within ms, however slowly it comes. `offer` (null: not of interest) takes the
 * lines of an EHLO reply. OK; AGAIN: not in time; ABSENT: the peer closed; MALFORMED: a line or the reply is too long, or it
 * begins with a line without a code while others may follow (taken for noise, it would let each reply count for the command
 * before its own, and a message for delivered that was refused); BROKEN.
 * If there is no reply, *reply has what was said instead, and *why quotes it. */
enum result talk_reply(
    struct talk *t, uint64_t ms, struct smtp_reply *reply, struct smtp_offer *offer, struct why *why);

/* Whether the peer has said something that was not waited for, or has closed. Does not wait. */
bool talk_is_disturbed(struct talk *t);
