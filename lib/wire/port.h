/* A channel in an event loop: messages come by callback, what can't be sent at once waits in a bounded line. */
#pragma once

#include "sys/loop.h"
#include "wire/channel.h"
#include "wire/crowd.h"

struct port;
struct port_packet;

struct port_events {
	/* A checked message. Descriptors left in m->fds are closed afterwards: take one by setting it to -1.
	 * REFUSED, MALFORMED: out of turn or senseless, the conversation ends (ended() is called, with *why); else OK.
	 * The callback may close the port itself (port_close) and then must return OK. */
	enum result (*message)(struct port *p, struct wire_message *m, struct why *why);
	/* The conversation is over: ABSENT (the other end closed), or what went wrong. The port is already closed; its
	 * memory is the callback's to free. */
	void (*ended)(struct port *p, enum result r, struct why *why);
};

struct port {
	struct source source;
	struct channel channel;
	struct loop *loop;
	const struct port_events *events;
	struct port_packet *first, *last; /* waiting to be sent */
	size_t n_waiting, max_waiting;    /* packets */
	bool secret;        /* what was received is wiped when it has been looked at, what waited when it was sent */
	bool in_turns;      /* the other side waits for our answer: do not look for its next message at once */
	struct crowd crowd; /* too many descriptors are under way: what waits is sent when `retry` is due */
	struct timer retry;
	bool *gone; /* set by port_close for the receiving loop further up */
};

/* Puts channel c (not waiting) into the loop. At most max_waiting packets wait for a slow reader; more end the
 * conversation as EXHAUSTED. */
enum result port_open(struct port *p, struct loop *loop, struct channel c, const struct port_events *events,
    size_t max_waiting, struct why *why);
void port_close(struct port *p); /* closes the channel, drops what waits; no callback; fine if already closed */
bool port_is_open(const struct port *p);

/* Whether the other end is closed, also while ended() has not been called yet: a process that dies closes its own channels
 * before those that it was given or was about to be given. */
bool port_peer_is_gone(const struct port *p);

/* Sends or lines up. The descriptors stay the caller's (they are duplicated if the message must wait). OK, or the
 * failure after which the caller should port_close: ABSENT, EXHAUSTED, BROKEN. */
enum result port_send(
    struct port *p, uint16_t type, uint64_t ref, const void *body, struct bytes tail, const int *fds, struct why *why);
