/* The table of checks as data.
 * Trusts nothing: it is constant.
 * Never runs a check: policy does. */
#include "control/checks.h"

#define AFTER(name) (1u << CHECK_##name)
#define CHECK(name, runs, due, needs, items, variables, finding) \
	[CHECK_##name] = { #name, CHECK_AT_##runs, CHECK_AT_##due, needs, items, variables, finding },
const struct check_row check_rows[N_CHECKS] = {
#include "control/checks.def"
};
#undef CHECK

const char *const check_stage_names[N_CHECK_STAGES] = {
	[CHECK_AT_CONNECTION] = "connection",
	[CHECK_AT_HELO] = "HELO",
	[CHECK_AT_MAIL] = "MAIL",
	[CHECK_AT_RCPT] = "RCPT",
	[CHECK_AT_MESSAGE] = "message",
};
