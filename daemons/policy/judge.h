/* Judges: the part of a check that says what a finding comes to. No input or output: what is known goes in, a reply comes out. */
#pragma once

#include "policy/client.h"
#include "policy/envelope.h"
#include "policy/reply.h"

/* What is judged: a recipient, or, at the message stage, the message (no address). */
struct asked {
	const struct client *c;
	const struct envelope *e;
	struct bytes address; /* with a domain, and the suffix of the rule */
	bool bare;            /* said without a domain: ours, as postmaster must be (RFC 5321 4.5.1) */
	struct reply *r;
};

/* What a judge returns when it has settled the matter: true, with *a->r the reply. */
bool judge_settle(const struct asked *a, struct reply r);
bool judge_settle_with_words(const struct asked *a, struct reply r, enum variable words); /* that the rule has for it */
bool judge_unreadable(const struct asked *a);                                             /* a table can't be read */
bool judge_no_dns(const struct asked *a, const char *reason);
