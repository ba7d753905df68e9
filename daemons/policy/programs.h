/* Programs of the item recipients: authrun runs them. */
#pragma once

#include "wire/calls.h"
#include "wire/port.h"

struct policy;

/* The line to authrun; closed if nothing is there. */
struct program_line {
	struct port port;
	struct calls asked;
};

enum result programs_open(struct policy *p, struct why *why);
