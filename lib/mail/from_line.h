/* The line that begins a message of an mbox, and that programs get as UFLINE. */
#pragma once

#include "base/buf.h"

/* Adds `From SENDER Ddd Mmm dd hh:mm:ss yyyy` and a LF, as qmail writes it: in UTC; MAILER-DAEMON for the null sender; a blank, tab or
 * LF of the sender becomes `-`. */
void from_line_put(struct buf *b, struct bytes sender, uint64_t now_s);
