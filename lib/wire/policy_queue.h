/* What passes between a source of messages (`policy`; `send`, for bounces) and `queue`. One channel carries many
 * transactions; `ref` tells them apart and is the client's own. A transaction:
 *
 *	PQ_OPEN [PQ_MORE …] → PQ_WRITER → (content is written) → PQ_COMMIT → PQ_COMMITTED
 *
 * PQ_FAILED instead of an answer ends it; PQ_ABORT ends it without an answer. */
#pragma once

#include "base/id.h"
#include "wire/wire.h"

#define PQ_CLIENT WIRE_FIRST
#define PQ_QUEUE WIRE_SECOND

#define PQ_TAIL_MAX 7936
#define PQ_TRACE_MAX 2048

enum pq_flag {
	PQ_COMPLETE = 1 << 0, /* no recipients follow: answer with PQ_WRITER */
	PQ_8BITMIME = 1 << 1,
	PQ_SMTPUTF8 = 1 << 2,
	PQ_RET_FULL = 1 << 3,
	PQ_RET_HDRS = 1 << 4,
	PQ_BOUNCE = 1 << 5,        /* a report about a message; null sender */
	PQ_DOUBLE_BOUNCE = 1 << 6, /* a report about a report */
	PQ_VERP = 1 << 7,          /* each recipient has a reverse-path of its own */
};

struct pq_open {
	uint64_t octets;       /* expected, 0 if not known */
	uint32_t flags;        /* enum pq_flag */
	uint32_t n_recipients; /* in all */
	uint32_t n_here;       /* in this message's tail */
	uint32_t uid;          /* of a local program's user; UINT32_MAX: none */
	uint16_t id_at;        /* where in the trace text the message's id is to be inserted; at most its length */
	uint16_t spare[3];
};
/* tail: reverse-path; ENVID; trace text (whole header fields, lines ended by CRLF); service; connection id ("" if
 * none); then n_here recipients, three fields each: forward-path; ORCPT; notify (one octet, enum notify) */

struct pq_more {
	uint32_t flags; /* PQ_COMPLETE or 0 */
	uint32_t n_here;
}; /* tail: recipients */

struct pq_writer {
	char id[ID_LEN + 1]; /* that the message will have */
	uint32_t spare;
	uint64_t keep_free; /* octets that the content must leave free on the disk */
};

struct pq_commit {
	uint64_t octets; /* of content; nobody but queue has it open any more */
	uint32_t sum; /* CRC-32C of the content, as whoever wrote it reckoned. A wrong one harms this message alone */
	uint32_t spare;
};

struct pq_committed {
	char id[ID_LEN + 1];
	uint32_t spare;
};

struct pq_room {
	uint64_t octets; /* that the disk has for messages, beyond what is to stay free */
};

struct pq_failed {
	uint32_t result; /* enum result: EXHAUSTED (no space: 452 4.3.1), REFUSED, MALFORMED, BROKEN (451 4.3.0) */
};                       /* tail: text for the log */

/*	message		body			tail fds sender	 how often */
#define POLICY_QUEUE(M) \
	M(PQ_OPEN, struct pq_open, PQ_TAIL_MAX, 0, PQ_CLIENT, ANY) \
	M(PQ_MORE, struct pq_more, PQ_TAIL_MAX, 0, PQ_CLIENT, ANY) \
	M(PQ_COMMIT, struct pq_commit, 0, 0, PQ_CLIENT, ANY) \
	M(PQ_ABORT, struct wire_nothing, 0, 0, PQ_CLIENT, ANY) \
	M(PQ_WRITER, struct pq_writer, 0, 1, PQ_QUEUE, \
	    ANY) /* fd: for writing, its own open file description, already at the content's place: write on, never seek */ \
	M(PQ_COMMITTED, struct pq_committed, 0, 0, PQ_QUEUE, ANY) \
	M(PQ_FAILED, struct pq_failed, WHY_MAX, 0, PQ_QUEUE, ANY) \
	M(PQ_ROOM, struct pq_room, 0, 0, PQ_QUEUE, \
	    ANY) /* so that MAIL can be refused that says how long its message will be */ \
	M(PQ_LOOK, struct wire_nothing, 0, 0, PQ_CLIENT, ANY) /* PQ_ROOM; ref 0 */
WIRE_PROTOCOL(policy_queue, POLICY_QUEUE)
