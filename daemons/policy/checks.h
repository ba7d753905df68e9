/* The steps of a recipient that take time: held back in the tarpit, asked about in DNS; then decided. */
#pragma once

#include "base/result.h"
#include "policy/client.h"
#include "policy/names.h"
#include "wire/wire.h"

/* SP_BEGIN and SP_RCPT. The session is answered now or later; meanwhile it may ask for nothing. MALFORMED: fields that
 * can't be. */
enum result checks_on_begin(struct policy *p, struct session *s, const struct wire_message *m, struct why *why);
enum result checks_on_rcpt(struct policy *p, struct session *s, const struct wire_message *m, struct why *why);

/* An answer to a question of the session's. */
void checks_answered(
    struct policy *p, struct session *s, enum question q, const struct rs_answer *a, struct bytes tail);

/* The session is over: nothing of it waits any more. */
void checks_end(struct policy *p, struct session *s);

/* The program that s->trial wanted has answered. */
void checks_program_said(struct policy *p, struct session *s, enum trial_state said);
