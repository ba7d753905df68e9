/* Questions to the validating resolver library, with answers in the form of the wire. */
#pragma once

#include "base/buf.h"
#include "control/control.h"
#include "wire/client_resolve.h"

struct resolver;

/* Called once for each question, from resolver_ready() or resolver_ask() itself. The answer is the callee's to read until
 * it returns. */
typedef void resolver_answer(void *ctx, const struct rs_answer *a, struct bytes tail);

/* Configures the library from the control items; touches no file. REFUSED: an item is not what the library takes. */
enum result resolver_open(struct resolver **r, const struct control *c, struct why *why);
int resolver_fd(const struct resolver *r); /* readable when answers wait */
void resolver_ready(struct resolver *r);

/* Asks for records of this type (enum rs_type). name: as text, 1 to 253 octets, A-labels. EXHAUSTED: RS_IN_FLIGHT questions
 * wait already, or no memory; MALFORMED: no name. If not OK, nothing will be called. */
enum result resolver_ask(struct resolver *r, uint16_t type, struct bytes name, resolver_answer *answer, void *ctx);
