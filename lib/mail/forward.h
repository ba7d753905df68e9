/* Sending on a message that a delivery handed to a program: what forward, condredirect and qreceipt have in common. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"

/* A variable of the delivery's environment. MALFORMED if it is not set: the program was not called from a delivery. */
enum result forward_variable(const char *name, const char **value, struct why *why);

/* Submits the message on standard input, from its present offset, with DTLINE in front. sender: of the envelope, "" for none;
 * recipients: null at the end, at least one. REFUSED: never; AGAIN, EXHAUSTED, BROKEN: not now; MALFORMED: DTLINE is not set. A
 * failure has its reason in why. */
enum result forward_message(const char *sender, char *const recipients[], struct why *why);

/* Submits a message that was made here, for one recipient and from nobody (RFC 3834 2, RFC 5321 4.5.5). Results as above. */
enum result forward_notice(struct bytes message, const char *recipient, struct why *why);
