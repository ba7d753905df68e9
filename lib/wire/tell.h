/* What a front end (smtpd, pop3d) has refused by itself goes to `policy` as SP_TELL, for the log. No answer comes, and nobody
 * decides anything by it. */
#pragma once

#include "wire/channel.h"
#include "wire/smtpd_policy.h"

struct tell {
	uint32_t n_told; /* messages that were sent */
	uint32_t n_rest; /* refusals since, for the last of the messages */
	uint16_t code;   /* of the last of these */
	bool helo_known; /* policy has the HELO name that is now in use */
	char text[SP_TELL_TEXT_MAX + 1];
};

/* What was refused. Any of the views may be empty. */
struct told {
	struct bytes helo;    /* name, as it was said */
	struct bytes reverse; /* sender of the transaction in progress */
	struct bytes said;    /* the line that was refused; never one that can have a password in it */
};

/* Tells of one refusal: the reply's code (0: there was no reply, or replies have no codes) and its text. From the
 * SP_TELL_MAX-th of a session on they are counted, and only the last is told, by tell_rest. A channel that is broken is the
 * next request's to find. */
void tell_refusal(struct tell *t, struct channel *policy, unsigned code, const char *text, const struct told *what);

/* At the end of a session: what was only counted; else the HELO name, if policy has not heard it. */
void tell_rest(struct tell *t, struct channel *policy, struct bytes helo);
