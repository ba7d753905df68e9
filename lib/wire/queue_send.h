/* What passes between `queue` and `send`: what is there, and what became of it. */
#pragma once

#include "base/id.h"
#include "wire/wire.h"

#define QS_QUEUE WIRE_FIRST
#define QS_SEND WIRE_SECOND

#define QS_NOTE_MAX 2048

/* To keep in mind for `send`:
 * - a QS_MESSAGE for an id that it has already is to be ignored: an administrator may release what a start finds too;
 * - QS_DONE may come without a QS_STATUS for recipients that were delivered;
 * - a message's descriptor is to be closed before its QS_DONE: then queue can use the file again for the next one;
 * - a status that is final takes its note along in the same QS_STATUS; a deferral is a QS_STATUS of STORE_WAITING. */

struct qs_message {
	char id[ID_LEN + 1];
	uint8_t fresh; /* 1: just committed; 0: found at a start, released, or fetched */
	uint8_t spare[3];
};

struct qs_credit {
	uint32_t n; /* so many more QS_MESSAGE may come without being asked for */
};

struct qs_name {
	char id[ID_LEN + 1];
	uint32_t spare;
};

struct qs_status {
	char id[ID_LEN + 1];
	uint32_t recipient; /* index in the envelope */
	uint8_t status;     /* as lib/store names them */
	uint8_t spare[7];
}; /* tail: note for the report, "" for none */

struct qs_later {
	char id[ID_LEN + 1];
	uint32_t attempts; /* so far */
	uint64_t due_at;   /* seconds since 1970 */
};

struct qs_retry {
	char id[ID_LEN + 1]; /* "" for all */
	uint32_t spare;
};

/*	message		body			tail fds sender	 how often */
#define QUEUE_SEND(M) \
	M(QS_MESSAGE, struct qs_message, 0, 1, QS_QUEUE, \
	    ANY) /* fd: the queue file, read-only. Uses one credit if not asked for */ \
	M(QS_GONE, struct qs_name, 0, 0, QS_QUEUE, ANY) /* answer to QS_FETCH: not there, held or damaged */ \
	M(QS_FORGET, struct qs_name, 0, 0, QS_QUEUE, \
	    ANY) /* an administrator held or deleted it: start nothing more */ \
	M(QS_RETRY, struct qs_retry, 0, 0, QS_QUEUE, ANY) /* an administrator wants it tried now */ \
	M(QS_BOUNCE, struct qs_name, 0, 0, QS_QUEUE, ANY) /* an administrator wants it returned now */ \
	M(QS_CREDIT, struct qs_credit, 0, 0, QS_SEND, ANY) \
	M(QS_FETCH, struct qs_name, 0, 0, QS_SEND, ANY) /* QS_MESSAGE or QS_GONE */ \
	M(QS_STATUS, struct qs_status, QS_NOTE_MAX, 0, QS_SEND, ANY) \
	M(QS_LATER, struct qs_later, 0, 0, QS_SEND, ANY) \
	M(QS_DONE, struct qs_name, 0, 0, QS_SEND, ANY) /* every recipient has a final result: remove it */
WIRE_PROTOCOL(queue_send, QUEUE_SEND)
