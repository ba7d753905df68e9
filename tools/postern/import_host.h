/* Files of qmail's users and tcpserver's that lie outside qmail's directory. */
#pragma once

#include "postern/import_place.h"

/* tcpserver's rules in /etc, and .qmail and .forward in the homes of users. */
void import_host(struct import *im);

/* Whether the host has qmail's user alias, whose home has the .qmail files for what no user takes. */
bool import_host_has_alias(const struct import *im);
