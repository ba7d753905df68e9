/* What passes between `send` and one user's `instruct`: for which address of that user, and what is to be done with its mail. */
#pragma once

#include "base/bytes.h"
#include "wire/wire.h"

#define SI_SEND WIRE_FIRST
#define SI_INSTRUCT WIRE_SECOND

#define SI_IN_FLIGHT 32     /* questions without an answer */
#define SI_ITEMS_TAIL 7680u /* octets of instructions in a message */

struct si_ask {
	uint8_t has_sender; /* 0: the null sender, or that of a report about a report: no -owner is looked for */
	uint8_t spare[3];
}; /* tail: dash; extension, as in the envelope */

struct si_items {
	uint32_t n;
}; /* tail: two fields an instruction: its kind (one octet, enum dotqmail_kind); its text */

enum si_result {
	SI_LIST,    /* the instructions were sent before; none: the mail is thrown away */
	SI_NO_FILE, /* no file counts, and there is no extension, or no .qmail at all: the default delivery */
	SI_NOBODY,  /* no file counts for that extension: there is no such address */
	SI_LATER,   /* nothing may be done now */
};
enum si_owner { SI_SAME, SI_OWNER, SI_VERP }; /* what becomes of the sender of what is forwarded */

struct si_answer {
	uint64_t fingerprint; /* of the file's content: another one is another list */
	uint32_t n_items;     /* that were sent */
	uint16_t enhanced[3]; /* SI_LATER: RFC 3463 status */
	uint8_t result;       /* enum si_result */
	uint8_t owner;        /* enum si_owner */
	uint8_t has_default;  /* DEFAULT is set */
	uint8_t spare[3];
}; /* tail: text, for SI_LATER; what DEFAULT is set to */

/*	message		body			tail		fds sender	how often */
#define SEND_INSTRUCT(M) \
	M(SI_ASK, struct si_ask, 1400, 0, SI_SEND, ANY) \
	M(SI_ITEMS, struct si_items, SI_ITEMS_TAIL, 0, SI_INSTRUCT, ANY) /* ref as in SI_ASK */ \
	M(SI_ANSWER, struct si_answer, 1400 + WHY_MAX, 0, SI_INSTRUCT, ANY)
WIRE_PROTOCOL(send_instruct, SEND_INSTRUCT)
