/* postern check: names, domains, relaying, logins. Each is a row of the table of checks. */
#pragma once

#include "postern/check_findings.h"

void check_host_name(struct look *l);
void check_postmaster(struct look *l);
void check_open_relay(struct look *l);
void check_our_domains(struct look *l);
void check_mechanisms(struct look *l);
