/* Questions to resolve: the line to it, and which question an answer is to. */
#pragma once

#include "base/bytes.h"
#include "wire/client_resolve.h"

#include <stdbool.h>

struct policy;
struct session;

/* What a session may ask, each once at a time. */
enum question {
	ASK_PEER_NAME,
	ASK_SENDER_MX,
	ASK_SENDER_A,
	ASK_SENDER_AAAA,
	ASK_HELO_A,
	ASK_HELO_AAAA,
	ASK_HELO_MX,
	ASK_LIST_A,                     /* the first of 24 DNS lists */
	ASK_LIST_TXT = ASK_LIST_A + 24, /* the same */
	ASK_SPF = ASK_LIST_TXT + 24,    /* the first of 8 */
	N_QUESTIONS = ASK_SPF + 8
};
#define QUESTIONS_MAX 64 /* a bit each in session.awaited */

#define QUESTION(q) (UINT64_C(1) << (q))

void names_open(struct policy *p);

/* True: session_named() will be called. */
bool names_ask_peer(struct policy *p, struct session *s);

/* True: checks_answered() will be called, at the latest after some 20 seconds. False: nobody can be asked. */
bool names_ask(struct policy *p, struct session *s, enum question q, enum rs_type type, struct bytes name);

/* A question that is no session's: dnslists_tested() is called with n, unless resolve goes away before. */
bool names_ask_test(struct policy *p, unsigned n, struct bytes name);

/* Forgets all that the session waits for: late answers are not its any more. */
void names_forget(struct session *s);

/* Ends what resolve has left unanswered for too long. */
void names_sweep(struct policy *p);
