/* What passes between `send` and one user's `pipe`: programs of that user's lines, and how they ended. */
#pragma once

#include "base/id.h"
#include "wire/wire.h"

#define PI_SEND WIRE_FIRST
#define PI_PIPE WIRE_SECOND

#define PI_IN_FLIGHT 16   /* programs of one user at a time */
#define PI_SAID_MAX 1500u /* octets of what a program said that come back */

struct pi_run {
	char id[ID_LEN + 1];
	uint32_t has_default; /* DEFAULT is set */
	uint32_t limit_s;     /* then its processes are ended */
	uint32_t spare;
	uint64_t content_at; /* offset in the queue file */
	uint64_t content_len;
};
/* tail: command, for sh -c; sender, NEWSENDER; local part and host of the address; the user's name; extension; DEFAULT; trace text
 * (CRLF lines) */
#define PI_RUN_FIELDS 9

enum pi_outcome {
	PI_EXITED,  /* code: exit status */
	PI_SIGNAL,  /* code: which ended it */
	PI_LATE,    /* it was ended after limit_s */
	PI_NOT_RUN, /* it could not be started: the text says why; code 1: it never can be */
};

struct pi_result {
	uint8_t outcome; /* enum pi_outcome */
	uint8_t spare[3];
	uint32_t code;
}; /* tail: what it wrote to descriptors 1 and 2 */

/*	message		body			tail fds sender	 how often */
#define SEND_PIPE(M) \
	M(PI_RUN, struct pi_run, 7936, 1, PI_SEND, ANY) /* fd: the queue file, read-only */ \
	M(PI_RESULT, struct pi_result, PI_SAID_MAX, 0, PI_PIPE, ANY)
WIRE_PROTOCOL(send_pipe, SEND_PIPE)
