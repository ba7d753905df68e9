/* The table of checks (lib/control/checks.def) as data. */
#pragma once

#include "control/control.h"
#include "control/variables.h"

enum check_stage { CHECK_AT_CONNECTION, CHECK_AT_HELO, CHECK_AT_MAIL, CHECK_AT_RCPT, CHECK_AT_MESSAGE, N_CHECK_STAGES };

#define CHECK(name, runs, due, needs, items, variables, finding) CHECK_##name,
enum check_id {
#include "control/checks.def"
	N_CHECKS
};
#undef CHECK

struct check_row {
	const char *name;
	enum check_stage runs, due;
	uint32_t needs; /* 1 << enum check_id, or-ed */
	const char *items, *variables, *finding;
};

extern const struct check_row check_rows[N_CHECKS];
extern const char *const check_stage_names[N_CHECK_STAGES];
