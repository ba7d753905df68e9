/* A message, from DATA to the answer to its final dot. */
#pragma once

#include "policy/policy.h"

void message_begin(struct policy *p, struct session *s); /* SP_DATA */

/* SP_COMMIT: the whole message is there. The checks of the message stage begin; message_go_on decides when they are done. */
void message_whole(struct policy *p, struct session *s, const struct sp_commit *said);
void message_go_on(struct policy *p, struct session *s);
