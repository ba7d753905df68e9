/* A session: its answers, its end, its lines in the log. The floor of policy: it calls none of the modules above it. */
#pragma once

#include "policy/policy.h"

/* Tells the front end; a refusal is logged by session_decide. */
void session_answer(struct policy *p, struct session *s, const struct reply *r);
void session_decide(struct policy *p, struct session *s, const struct reply *r, struct bytes recipient);

/* A check of it has found something: the loop lets the session go on, if it waits for nothing more. */
void session_found(struct policy *p, struct session *s);

/* It is over: its channel is closed at once, and the loop concludes the rest. */
void session_end(struct policy *p, struct session *s);

/* Its channel is closed; not ABSENT: for a reason that is logged. */
void session_lost(struct policy *p, struct session *s, const char *from, enum result r, const struct why *why);

/* session_log.c */
void session_log(struct log_line *l, const struct session *s); /* which connection */
void session_log_refusal(struct session *s, const struct reply *r, struct bytes recipient);
void session_log_denied(struct session *s, enum result met);
void session_log_accept(const struct session *s, const char *id);
void session_log_end(const struct session *s, uint64_t now_ms, uint32_t n_sessions);
void session_heard_helo(struct session *s, struct bytes name);
enum result session_told(struct session *s, const struct wire_message *m, struct why *why); /* SP_TELL */
