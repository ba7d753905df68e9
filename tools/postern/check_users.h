/* postern check: the users who get mail. Each is a row of the table of checks. */
#pragma once

#include "postern/check_findings.h"

void check_assignments(struct look *l);
void check_virtual_user(struct look *l);
