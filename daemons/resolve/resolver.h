/* Questions to the validating resolver library, with answers in the form of the wire. */
#pragma once

#include "base/buf.h"
#include "control/control.h"
#include "wire/client_resolve.h"

struct resolver;
struct question;

/* Called once for each question, from resolver_ready() or resolver_ask() itself. The answer is the callee's to read until
 * it returns. */
typedef void resolver_answer(void *ctx, const struct rs_answer *a, struct bytes tail);

/* Configures the library from the control items; touches no file. REFUSED: an item is not what the library takes. */
enum result resolver_open(struct resolver **r, const struct control *c, struct why *why);
int resolver_fd(const struct resolver *r); /* readable when answers wait */
void resolver_ready(struct resolver *r);

/* Asks. name: at most 255 octets, A-labels. EXHAUSTED: too many questions wait; MALFORMED: no name. If not OK, nothing
 * will be called. *q, if not null, is for resolver_forget. */
enum result resolver_ask(
    struct resolver *r, uint16_t type, struct bytes name, resolver_answer *answer, void *ctx, struct question **q);
void resolver_forget(struct resolver *r, struct question *q); /* its answer is not wanted any more */
