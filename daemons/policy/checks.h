/* The checks: each finds something out, or judges what is known (control/checks.h has the table). A new one is a file with a
 * struct check_work, and a row in the table. */
#pragma once

#include "control/checks.h"
#include "policy/judge.h"

struct policy;
struct session;

struct check_work {
	/* Asks, for s->asking[CHECK_name], and calls session_found() with each answer; or finds at once. Null: nothing is to be
	 * found out. */
	void (*begin)(struct policy *p, struct session *s);
	void (*settle)(
	    const struct policy *p, struct session *s); /* right before a decision: makes the finding of what came */
	bool (*judge)(
	    const struct asked *a); /* what the finding comes to: true, it is settled. Pure. Null: others judge */
	bool for_relays;            /* also of clients that may relay */
	bool on_demand;             /* begins when a judge has found that it needs it (checks_begin_one) */
};

extern const struct check_work *const check_works[N_CHECKS];

/* Begins the checks of a stage, each as soon as what it needs is known. */
void checks_begin(struct policy *p, struct session *s, enum check_stage stage);
void checks_begin_one(struct policy *p, struct session *s, enum check_id id);
void checks_go_on(struct policy *p, struct session *s); /* something was found: others may begin now */

/* Whether a decision at that stage has to wait. */
bool checks_wait(const struct session *s, enum check_stage due);
void checks_settle(const struct policy *p, struct session *s);

/* The session is over: nothing of it waits any more. */
void checks_end(struct session *s);
