/* What passes between `send` and one user's `local`: deliveries, at most SD_IN_FLIGHT without an answer. */
#pragma once

#include "base/id.h"
#include "wire/wire.h"

#define SD_SEND WIRE_FIRST
#define SD_LOCAL WIRE_SECOND

#define SD_IN_FLIGHT 32

enum sd_flag {
	SD_MAKE_MAILDIR = 1 << 0, /* the Maildir is to be made if it is missing */
	SD_MBOX = 1 << 1,         /* the path is that of an mbox, to which the message is appended */
	SD_LOOK_FIRST = 1 << 2,   /* not if the home has a .qmail: the answer is SD_INSTRUCTED */
	SD_EXTENDED = 1 << 3,     /* what is looked for is .qmail-…: the address has an extension */
};

struct sd_deliver {
	char id[ID_LEN + 1];
	uint32_t flags;      /* enum sd_flag */
	uint64_t content_at; /* offset in the queue file */
	uint64_t content_len;
};
/* tail: reverse-path without brackets; recipient (for Delivered-To and the loop check); Maildir or mbox, relative to the home;
 * trace text (CRLF lines) */

enum sd_outcome {
	SD_DELIVERED,
	SD_TEMPORARY,
	SD_PERMANENT,
	SD_INSTRUCTED, /* nothing was done: the user's .qmail says what is to be done (SD_LOOK_FIRST) */
};

struct sd_result {
	uint16_t enhanced[3]; /* RFC 3463 status */
	uint8_t outcome;      /* enum sd_outcome */
	uint8_t spare;
}; /* tail: text for log and report */

/*	message		body			tail fds sender	 how often */
#define SEND_LOCAL(M) \
	M(SD_DELIVER, struct sd_deliver, 6144, 1, SD_SEND, ANY)   /* fd: the queue file, read-only */ \
	M(SD_RESULT, struct sd_result, WHY_MAX, 0, SD_LOCAL, ANY) /* ref as in SD_DELIVER */
WIRE_PROTOCOL(send_local, SEND_LOCAL)
