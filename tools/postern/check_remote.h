/* postern check: the tables for mail to other hosts. */
#pragma once

#include "postern/check_findings.h"

/* A row of the table of checks, of the service `send`. */
void check_remote(struct look *l);
