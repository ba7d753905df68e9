/* What passes between `postern queue` and `queue`: looking at messages and acting on them. One request at a time; each is
 * ended by QC_END. Who may speak is who can open the door: root. */
#pragma once

#include "base/id.h"
#include "wire/wire.h"

#define QC_TOOL WIRE_FIRST
#define QC_QUEUE WIRE_SECOND

enum qc_what { QC_HOLD, QC_RELEASE, QC_RETRY, QC_BOUNCE, QC_DELETE, QC_N_ACTS };
extern const char *const qc_act_names[QC_N_ACTS]; /* of the command, and in the log */

struct qc_list {
	uint32_t n; /* so many rows may come; then QC_MORE asks for as many again */
	uint32_t spare;
};

struct qc_name {
	char id[ID_LEN + 1];
	uint32_t spare;
};

struct qc_act {
	char id[ID_LEN + 1]; /* "" for all: QC_RETRY only */
	uint32_t what;       /* enum qc_what */
};                           /* tail: for QC_RETRY of all, a domain; "" for any */

struct qc_row {
	char id[ID_LEN + 1];
	uint32_t flags; /* enum store_flag */
	uint32_t n_recipients, n_waiting, n_delivered, n_failed;
	uint32_t attempts;
	uint32_t uid;
	uint64_t received_us;
	uint64_t due_at; /* seconds since 1970; 0: at once */
	uint64_t octets; /* of content */
	uint8_t held;
	uint8_t spare[7];
}; /* tail: reverse-path; service; first recipient that is not final (else the first) */

struct qc_end {
	uint32_t result; /* enum result */
	uint32_t n;      /* rows, or messages acted on */
};                       /* tail: why */

/*	message		body			tail fds sender	 how often */
#define QUEUE_CONTROL(M) \
	M(QC_LIST, struct qc_list, 0, 0, QC_TOOL, ANY) /* QC_ROW … QC_END */ \
	M(QC_MORE, struct qc_list, 0, 0, QC_TOOL, ANY) \
	M(QC_SHOW, struct qc_name, 0, 0, QC_TOOL, ANY) /* QC_FILE or QC_END */ \
	M(QC_ACT, struct qc_act, 256, 0, QC_TOOL, ANY) /* QC_END */ \
	M(QC_ROW, struct qc_row, 4096, 0, QC_QUEUE, ANY) \
	M(QC_FILE, struct qc_name, 0, 1, QC_QUEUE, ANY) /* fd: the queue file, read-only; it has been decoded once */ \
	M(QC_END, struct qc_end, WHY_MAX, 0, QC_QUEUE, ANY)
WIRE_PROTOCOL(queue_control, QUEUE_CONTROL)
