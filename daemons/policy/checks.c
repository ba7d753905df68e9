/* Runs the checks of the table.
 * Trusts the table, which a test holds against its rules; a check only for its own finding.
 * Never waits, never begins a check before what it needs is known, never decides. */
#include "policy/checks.h"

#include "policy/session.h"

#define CHECK(name, runs, due, needs, items, variables, finding) extern const struct check_work name##_work;
#include "control/checks.def"
#undef CHECK
#define CHECK(name, runs, due, needs, items, variables, finding) [CHECK_##name] = &name##_work,
const struct check_work *const check_works[N_CHECKS] = {
#include "control/checks.def"
};
#undef CHECK

static bool
is_open(const struct session *s, unsigned i)
{
	return (s->pending & 1u << i) || calls_wait(&s->asking[i]);
}

static bool
is_known(const struct session *s, uint32_t needs)
{
	for (unsigned i = 0; needs != 0; i++, needs >>= 1)
		if ((needs & 1) && is_open(s, i))
			return false;
	return true;
}

static bool
concerns(const struct session *s, unsigned i)
{
	return !s->client.relays || check_works[i]->for_relays;
}

/* What a check needs is above it in the table, so that one pass is enough. */
void
checks_go_on(struct policy *p, struct session *s)
{
	for (unsigned i = 0; s->pending != 0 && i < N_CHECKS; i++) {
		if (!(s->pending & 1u << i) || !is_known(s, check_rows[i].needs) ||
		    (s->stage == STAGE_ARRIVED && check_rows[i].due > CHECK_AT_CONNECTION))
			continue;
		s->pending &= ~(1u << i);
		if (concerns(s, i))
			check_works[i]->begin(p, s);
	}
}

void
checks_begin(struct policy *p, struct session *s, enum check_stage stage)
{
	for (unsigned i = 0; i < N_CHECKS; i++)
		if (check_rows[i].runs == stage && check_works[i]->begin != NULL && !check_works[i]->on_demand)
			s->pending |= 1u << i;
	checks_go_on(p, s);
}

void
checks_begin_one(struct policy *p, struct session *s, enum check_id id)
{
	s->pending |= 1u << id;
	checks_go_on(p, s);
}

bool
checks_wait(const struct session *s, enum check_stage due)
{
	for (unsigned i = 0; i < N_CHECKS; i++)
		if (check_rows[i].due <= due && is_open(s, i) && concerns(s, i))
			return true;
	return false;
}

void
checks_settle(const struct policy *p, struct session *s)
{
	for (unsigned i = 0; i < N_CHECKS; i++)
		if (check_works[i]->settle != NULL)
			check_works[i]->settle(p, s);
}

void
checks_end(struct session *s)
{
	s->pending = 0;
	spf_end(s);
	for (unsigned i = 0; i < N_CHECKS; i++)
		calls_forget(&s->asking[i]);
}
