/* How a conversation with a process of another service begins: the client makes a channel and sends one end through the
 * door, a datagram socket whose receiving end that service's warden keeps through restarts of the process. Which door
 * it came through says who the client is. */
#pragma once

#include "wire/channel.h"

#define DOOR_CLIENT WIRE_FIRST
#define DOOR_OWNER WIRE_SECOND

#define DOOR(M) M(DOOR_OPEN, struct wire_nothing, 0, 1, DOOR_CLIENT, ANY) /* fd: the owner's end of the channel */
WIRE_PROTOCOL(door, DOOR)

/* Opens a conversation through the connected datagram socket door_fd: *c is the client's end, first side of p.
 * ABSENT: nobody behind the door; AGAIN: too many wait before it; EXHAUSTED: no descriptors. */
enum result door_open(int door_fd, const struct wire_protocol *p, bool waits, struct channel *c, struct why *why);

/* Takes the next channel that was handed in, as the second side of p. AGAIN: none waits. MALFORMED: what came was not
 * one; the door stays usable. Never blocks. */
enum result door_take(int door_fd, const struct wire_protocol *p, struct channel *c, struct why *why);
