/* What a front end may ask, in which state; how sessions come and go. The roof of policy: nothing here is called from below, but by
 * the loop. */
#pragma once

#include "policy/policy.h"

enum result requests_open(struct policy *p, struct why *why);

/* listen's channel: a session begins. */
enum result requests_from_listen(struct port *port, struct wire_message *m, struct why *why);

/* Lets go on, or ends, whatever was marked. Call it before the loop waits. */
void requests_conclude(struct policy *p);
void requests_tell_ended(struct policy *p); /* listen, of the sessions that have ended */
