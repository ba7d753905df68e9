/* The queue file: making one, reading one, changing one in place. doc/STATES has its states, format.h its octets. */
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/id.h"
#include "base/notify.h"
#include "base/result.h"

#define STORE_RECIPIENTS_MAX 20000u
#define STORE_ENVELOPE_MAX (8u << 20) /* octets of an envelope, whatever is in it */
#define STORE_CONTENT_AT_MAX \
	(STORE_ENVELOPE_MAX + (64u << 10)) /* octets before the content: head, statuses, envelope */
#define STORE_PATH_MAX 1024u               /* octets of a reverse-path, forward-path or ORCPT */
#define STORE_WORD_MAX 256u                /* octets of ENVID, service or connection id */
#define STORE_TRACE_MAX 4096u              /* octets of the trace text, message id included */
#define STORE_NOTE_MAX 2048u               /* octets of a note's text */
#define STORE_NOTES_MAX (4u << 20) /* octets of notes that a file may gather; then notes are dropped, statuses not */

enum store_flag {
	STORE_8BITMIME = 1 << 0,
	STORE_SMTPUTF8 = 1 << 1,
	STORE_RET_FULL = 1 << 2,
	STORE_RET_HDRS = 1 << 3,
	STORE_BOUNCE = 1 << 4,        /* a report about a message */
	STORE_DOUBLE_BOUNCE = 1 << 5, /* a report about a report */
	STORE_VERP = 1 << 6,          /* each recipient has a reverse-path of its own (mail/verp.h) */
	STORE_FLAGS_ALL = (1 << 7) - 1,
};

/* Of one recipient, as it lies on disk. Any two differ in two bits or more, so that decay is seen. */
enum store_status {
	STORE_WAITING = 0x0f,
	STORE_DELIVERED = 0x1e,
	STORE_FAILED = 0x2d,   /* for good; a report is due, unless NOTIFY=NEVER */
	STORE_REPORTED = 0x3c, /* failed, and the report is in the queue */
};
bool store_status_is_valid(uint8_t status);

struct store_recipient {
	struct bytes forward; /* normalised, without brackets */
	struct bytes orcpt;   /* as said, type;xtext; empty if not */
	uint8_t notify;       /* enum notify, or-ed */
};

/* ---- making one ---- */

struct store_facts {
	struct id id;
	uint32_t flags;        /* enum store_flag */
	uint32_t n_recipients; /* that will be added: 1 to STORE_RECIPIENTS_MAX */
	uint32_t uid;          /* of the local user it came from; UINT32_MAX: none */
	uint64_t received_us;  /* since 1970 */
	struct bytes reverse;  /* reverse-path without brackets; empty: null sender */
	struct bytes envid, service, conn;
	struct bytes trace; /* whole header fields, lines ended by CRLF */
	size_t id_at;       /* where in a line of trace the id is inserted; means nothing if trace is empty */
};

/* Head, statuses and envelope of a message to be, in memory. */
struct store_draft {
	struct buf octets;
	uint32_t n_recipients, n_here;
};
#define STORE_DRAFT_NONE ((struct store_draft){ { NULL, 0, 0, 0, false, true }, 0, 0 })

/* Begins one; copies the facts. MALFORMED: a field is too long or has control octets, a count is out of bounds, the
 * trace text is not made of CRLF lines. EXHAUSTED: no memory. In each case end with store_draft_free. */
enum result store_draft_begin(struct store_draft *d, const struct store_facts *facts, struct why *why);

/* Adds the next recipient (copied). MALFORMED: one too many, or unfit; EXHAUSTED: no memory, or the envelope is full. */
enum result store_draft_add(struct store_draft *d, const struct store_recipient *r, struct why *why);

bool store_draft_is_complete(const struct store_draft *d);
uint64_t store_draft_content_at(const struct store_draft *d); /* once complete: octets before the content */

/* Makes a complete draft the first octets of its file, for a content of that length and CRC-32C. Valid until freed. */
struct bytes store_draft_finish(struct store_draft *d, uint64_t content_len, uint32_t sum);
void store_draft_free(struct store_draft *d);

/* ---- reading one ---- */

struct store_message {
	struct id id;
	uint32_t flags, n_recipients, uid;
	uint64_t received_us;
	uint64_t content_at, content_len; /* place in the file */
	bool has_sum;                     /* false: the file is of an older version */
	uint32_t sum;                     /* CRC-32C of the content; store_read does not check it */
	bool held;
	uint32_t attempts;
	uint64_t due_at;       /* seconds since 1970; 0: at once */
	struct bytes statuses; /* one octet a recipient, all valid */
	struct bytes reverse, envid, service, conn, trace;
	struct bytes recipients; /* encoded; see store_walk */
	uint8_t *memory;         /* that the views above show; null if it is the caller's */
};

/* Decodes a file's first octets, of which at least those before the content must be there; file_len is the whole
 * file's length. The message shows `octets`. OK or MALFORMED. */
enum result store_decode(struct bytes octets, uint64_t file_len, struct store_message *m, struct why *why);

/* From the first STORE_HEAD_LEN octets: how many there are before the content. OK or MALFORMED. */
enum result store_decode_size(struct bytes head, uint64_t file_len, size_t *before_content, struct why *why);

/* Reads and decodes the file behind fd (any open for reading; its position is left alone). MALFORMED: damaged.
 * EXHAUSTED: no memory. BROKEN: it can't be read. If OK, end with store_message_free. */
enum result store_read(int fd, struct store_message *m, struct why *why);
void store_message_free(struct store_message *m); /* fine on one that is all zero */

/* Reads the whole file and checks everything: what store_read does, that the id is this one, and that the content has the sum
 * that its head says. A file of an older version has no sum: its content must have no sector of zeros, which is what a
 * sector that was never written holds. OK, MALFORMED, EXHAUSTED or BROKEN as store_read. For any thread. */
enum result store_prove(int fd, const struct id *id, struct why *why);

/* Whether a file that is MALFORMED shows that its writing was never finished: it is shorter than its head says, has a
 * sector of zeros, or has zeros for its head or for the end of its envelope. A file that was flushed shows none of these,
 * whatever may have damaged it, unless the damage looks just so. */
bool store_is_unfinished(int fd);

bool store_is_held(int fd); /* looks at the mark alone; false if it can't be read */

struct store_walk {
	struct bytes rest;
	const uint8_t *status;
	uint32_t i; /* index of the next */
	uint32_t n;
};
struct store_walk store_walk_of(const struct store_message *m);

/* The next recipient, its index and status; false at the end. */
bool store_walk_next(struct store_walk *w, struct store_recipient *r, uint32_t *i, enum store_status *status);

/* ---- changing one in place: fd is open for reading and writing. Results as fd_pwrite_all has them ---- */

enum result store_put_status(int fd, uint32_t recipient, enum store_status status); /* the index was checked */
enum result store_put_later(int fd, uint32_t attempts, uint64_t due_at);
enum result store_put_mark(int fd, bool held);

/* ---- notes ---- */

struct store_notes {
	int fd;
	uint64_t at; /* of the next; after ABSENT: where the next one is to be written */
	uint32_t recipient;
	struct bytes text; /* until the next call */
	uint8_t octets[STORE_NOTE_MAX + 16];
};
void store_notes_begin(struct store_notes *n, int fd, const struct store_message *m);

/* The next note, oldest first; ABSENT behind the last whole one; BROKEN if the file can't be read. */
enum result store_notes_next(struct store_notes *n, struct why *why);

/* Writes a note at *end (as store_notes_next left it) and moves *end. Text too long is cut, control octets become
 * blanks. On a failure what was written is cut off again as far as that works; it is never read anyway. */
enum result store_put_note(int fd, uint64_t *end, uint32_t recipient, struct bytes text);

/* ---- names ---- */

#define STORE_N_SPLITS 32u
#define STORE_DAMAGED "damaged"
/* A message's file lies in the directory of its id's sixth digit: "s/IIIIIsIIIII". */
unsigned store_split_of(const struct id *id); /* below STORE_N_SPLITS */
char store_split_digit(unsigned split);       /* name of the directory */
