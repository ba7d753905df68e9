/* Typed messages over AF_UNIX SOCK_SEQPACKET channels. Each edge of the plan has one header with one list of its
 * messages; names, sizes, senders and descriptor counts are checked against that list on both sides.
 *
 * A list is written so (see the headers beside this one):
 *
 *	#define A_B(M) \
 *		M(AB_HELLO, struct ab_hello, TAIL, FDS, AB_SIDE_A, ANY) \
 *		M(AB_ANSWER, struct ab_answer, TAIL, FDS, AB_SIDE_B, ONCE)
 *	WIRE_PROTOCOL(a_b, A_B)
 *
 * TAIL is the largest number of octets behind the body, FDS the exact number of descriptors that travel along. */
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/result.h"

#include <assert.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_MAX 8192  /* octets of a whole message */
#define WIRE_FDS_MAX 5 /* descriptors of a message */

struct wire_head {
	uint16_t type;
	uint16_t len; /* of body and tail */
	uint32_t spare;
	uint64_t
	    ref; /* the asking side's own mark (wire/calls.h); an answer carries it back. Means nothing to the other side. */
};
#define WIRE_BODY_MAX (WIRE_MAX - sizeof(struct wire_head))

enum wire_side { WIRE_FIRST, WIRE_SECOND }; /* as the protocol names them */
enum wire_often { ANY, ONCE };

struct wire_nothing {
}; /* the body of a message that has none */

struct wire_row {
	const char *name;
	uint16_t body_len;
	uint16_t tail_max;
	uint8_t n_fds;
	uint8_t sender; /* enum wire_side */
	uint8_t often;  /* enum wire_often */
};

struct wire_protocol {
	const char *name;     /* "listen_smtpd" */
	const char *sides[2]; /* "listen", "smtpd" */
	const struct wire_row *rows;
	uint16_t n_rows; /* at most 64 */
};

#define WIRE_ENUM_ROW(type, body, tail, fds, sender, often) type,
#define WIRE_TABLE_ROW(type, body, tail, fds, sender, often) [type] = { #type, sizeof(body), tail, fds, sender, often },
#define WIRE_CHECK_ROW(type, body, tail, fds, sender, often) \
	static_assert( \
	    sizeof(body) + (tail) <= WIRE_BODY_MAX && (fds) <= WIRE_FDS_MAX, #type " does not fit into a message");

/* Declares enum NAME_message and NAME_protocol; lib/wire/edges.c defines the latter. */
#define WIRE_PROTOCOL(protocol_name, LIST) \
	enum protocol_name##_message{ LIST(WIRE_ENUM_ROW) }; \
	LIST(WIRE_CHECK_ROW) \
	extern const struct wire_protocol protocol_name##_protocol;
#define WIRE_DEFINE(protocol_name, LIST, first, second) \
	static const struct wire_row protocol_name##_rows[] = { LIST(WIRE_TABLE_ROW) }; \
	const struct wire_protocol protocol_name##_protocol = { #protocol_name, { first, second }, \
		protocol_name##_rows, nitems(protocol_name##_rows) };

/* A message as received. Body and tail show the receiver's buffer; the descriptors are the receiver's to close
 * (wire_close_fds), or to take by setting them to -1. */
struct wire_message {
	uint16_t type;
	uint64_t ref;
	const void *body; /* of the list's body type; aligned */
	struct bytes tail;
	int fds[WIRE_FDS_MAX];
	unsigned n_fds;
};

/* Big and always written before it is read: clearing it first, as the build does with all other variables, would cost
 * more than the message. */
#define WIRE_UNCLEARED __attribute__((uninitialized))

struct wire_buffer {
	alignas(16) uint8_t octets[WIRE_MAX];
};

/* Checks octets (a whole packet) and the number of descriptors against the protocol: type known, sent by `sender`,
 * exact body, bounded tail, exact descriptors. OK or MALFORMED. Takes no ownership. */
enum result wire_decode(const struct wire_protocol *p, enum wire_side sender, struct bytes packet, unsigned n_fds,
    struct wire_message *m, struct why *why);

void wire_close_fds(struct wire_message *m);

/* The tail is a run of fields, each 16 bits of length and that many octets. */
void wire_put(struct buf *tail, struct bytes field);
void wire_put_string(struct buf *tail, const char *field);
bool wire_take(struct bytes *tail, struct bytes *field); /* false, nothing changed: there is no whole field */

/* True if the tail holds exactly n fields; fills them. */
bool wire_take_all(struct bytes tail, struct bytes fields[], size_t n);
