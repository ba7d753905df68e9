/* A recipient from the request to the answer: its form, the tarpit, the checks, the decision. */
#pragma once

#include "policy/policy.h"

/* SP_BEGIN and SP_RCPT. The session is answered now or later; meanwhile it may ask for nothing. MALFORMED: fields that
 * can't be. */
enum result rcpt_on_begin(struct policy *p, struct session *s, const struct wire_message *m, struct why *why);
enum result rcpt_on_another(struct policy *p, struct session *s, const struct wire_message *m, struct why *why);

/* A check has found something: the recipient is decided if nothing more is waited for. */
void rcpt_go_on(struct policy *p, struct session *s);
