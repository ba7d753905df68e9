/* How somebody is written into a field: name and local part as qmail-inject's callers give them, in RFC 5322's words. */
#pragma once

#include "base/buf.h"
#include "base/bytes.h"

/* "name" <address>; a name that is not ASCII in encoded words (RFC 2047 2). No name: <address>. */
void author_put(struct buf *b, struct bytes name, struct bytes address);

/* address (name), as QMAILINJECT=c wants it. */
void author_put_commented(struct buf *b, struct bytes name, struct bytes address);

/* A local part, in quotes if it needs them (RFC 5321 4.1.2). */
void author_put_local(struct buf *b, struct bytes local);
