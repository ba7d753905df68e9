/* The decisions about an envelope. No input or output: what is known goes in, a reply comes out. */
#pragma once

#include "policy/client.h"
#include "policy/envelope.h"
#include "policy/reply.h"

/* A MAIL command (fields: the first three of sp_begin). The envelope is begun anew. Refusals of a sender come at
 * RCPT, so that the log has both addresses, as in s/qmail; a message that is too large is refused at once. */
struct reply decide_mail(
    const struct client *c, const struct sp_mail *mail, const struct bytes fields[3], struct envelope *e);

/* A RCPT command. On a reply of 250 the recipient is in the envelope. */
struct reply decide_rcpt(
    const struct client *c, const struct sp_rcpt *rcpt, const struct bytes fields[2], struct envelope *e);

/* A message that has come in whole, before queue keeps it: 250, or why it is refused. */
struct reply decide_message(const struct client *c, const struct envelope *e);
