/* Questions to `resolve`, one after the other or several at a time; each session has a conversation of its own. */
#pragma once

#include "wire/channel.h"
#include "wire/client_resolve.h"

struct answer {
	struct rs_answer head;
	struct bytes canonical; /* name; empty: the one asked for */
	struct bytes records;   /* fields; see client_resolve.h */
	uint8_t room[RS_TAIL_MAX];
};

/* Asks for several types of one name at a time and waits for all. Each answer's outcome is RS_FAILED if resolve could not
 * be asked or did not answer in time. */
void questions_ask(const char *name, const enum rs_type types[], struct answer *answers[], size_t n);
