/* postern check: users of the house, directories, addresses. Each is a row of the table of checks. */
#pragma once

#include "postern/check_findings.h"

void check_house_users(struct look *l);
void check_house_users_end(struct look *l); /* after all services: the users that are missing, in one line */
void check_kernel(struct look *l);
void check_directories(struct look *l);
void check_queue(struct look *l);
void check_addresses(struct look *l);
