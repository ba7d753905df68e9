/* Programs of the item recipients: authrun runs them. */
#pragma once

#include "wire/port.h"

struct policy;
struct session;

/* The line to authrun; closed if nothing is there. */
struct program_line {
	struct port port;
};

enum result programs_open(struct policy *p, struct why *why);

/* Asks what s->trial wants to know. True: checks_program_said() will be called. False: nobody can be asked. */
bool programs_ask(struct policy *p, struct session *s);
void programs_forget(struct session *s); /* late answers are not its any more */
