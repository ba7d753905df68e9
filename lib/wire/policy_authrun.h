/* What passes between `policy` and `authrun`: whether a program of the item recipients takes an address. policy can name a
 * program by its number alone; what that executes is in authrun's own configuration. */
#pragma once

#include "wire/wire.h"

#define PR_POLICY WIRE_FIRST
#define PR_AUTHRUN WIRE_SECOND

#define PR_ADDRESS_MAX 1000

struct pr_ask {
	uint8_t program; /* as lines of recipients are numbered */
	uint8_t spare[7];
}; /* tail: the address. Answered by PR_ANSWER with the same ref */

enum pr_outcome {
	PR_TAKEN,
	PR_NOT_TAKEN, /* by this one */
	PR_TROUBLE,   /* it can't be said now */
};

struct pr_answer {
	uint8_t outcome; /* enum pr_outcome */
	uint8_t spare[7];
};

/* clang-format off */
/*	message		body			tail fds sender	 how often */
#define POLICY_AUTHRUN(M) \
	M(PR_ASK, struct pr_ask, PR_ADDRESS_MAX, 0, PR_POLICY, ANY) \
	M(PR_ANSWER, struct pr_answer, 0, 0, PR_AUTHRUN, ANY)
/* clang-format on */
WIRE_PROTOCOL(policy_authrun, POLICY_AUTHRUN)
