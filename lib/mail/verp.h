/* Variable envelope return paths: a reverse-path of its own for each recipient, so that a report tells a mailing list whom it is about. */
#pragma once

#include "base/buf.h"
#include "base/bytes.h"

/* What qmail's programs put behind such a reverse-path: prefix-@host-@[]. */
#define VERP_MARK "-@[]"

/* Takes the mark off. False: there is none behind an address with a domain; nothing is changed. */
bool verp_take_mark(struct bytes *reverse);

/* Adds the reverse-path for one recipient: of list-@host and joe@far.example, list-joe=far.example@host. As it is, if one of the
 * two has no domain. */
void verp_put(struct buf *b, struct bytes reverse, struct bytes recipient);
