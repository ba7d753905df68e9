/* Questions to resolve. Each is asked for a caller, and answered by callback, at the latest after some 15 seconds. */
#pragma once

#include "policy/client.h"
#include "wire/calls.h"
#include "wire/client_resolve.h"
#include "wire/port.h"

struct policy;
struct session;

/* The conversation with resolve, if that service runs. */
struct name_line {
	struct port port;
	struct calls asked;
	bool wanted;        /* there is a doorway */
	bool peers;         /* the item peernames */
	uint64_t silent_ms; /* when the log was last told of its silence */
};

void names_open(struct policy *p);

/* False: nobody can be asked, and nothing is called. */
bool names_ask(
    struct policy *p, struct caller *who, unsigned what, enum rs_type type, struct bytes name, call_answer then);
bool names_ask_peer(struct policy *p, struct caller *who, const struct lp_peer *peer, call_answer then);

/* For callbacks: the answer, and its tail; one of RS_FAILED if none came. s: whom the log names; null: nobody. */
const struct rs_answer *names_answer(
    struct policy *p, const struct session *s, enum call_end how, const struct wire_message *m, struct bytes *tail);

enum finding names_finding(const struct rs_answer *a);
bool names_is_null_mx(
    const struct rs_answer *a, struct bytes tail); /* RFC 7505 3: one record, preference 0, the root */
