/* Questions to `resolve`, one after the other or several at a time; each session has a conversation of its own. */
#pragma once

#include "wire/calls.h"
#include "wire/channel.h"
#include "wire/client_resolve.h"

struct answer {
	struct rs_answer head;
	struct bytes canonical; /* name; empty: the one asked for */
	struct bytes records;   /* fields; see client_resolve.h */
	uint8_t room[RS_TAIL_MAX];
};

/* A conversation with resolve; it is opened with the first question, and again where resolve was replaced. */
struct questions {
	int door_fd; /* connected to resolve's door; -1: there is no way to another conversation */
	struct channel line;
	struct calls asked;
};
#define QUESTIONS_MAX 64 /* at a time */
#define QUESTIONS_BY(door) \
	((struct questions){ .door_fd = (door), .line = { .fd = -1 }, .asked = { .max = QUESTIONS_MAX } })

/* Asks for several types of one name at a time and waits for all. Each answer's outcome is RS_FAILED if resolve could not
 * be asked or did not answer in time. */
void questions_ask(
    struct questions *q, const char *name, const enum rs_type types[], struct answer *answers[], size_t n);
void questions_end(struct questions *q);

/* Opens the conversation now and closes the door, which its owner shares with others: whoever reads from the network can't
 * shut it for them, nor open more conversations. Without a door nothing is done; a question will have failed. */
void questions_settle(struct questions *q);
