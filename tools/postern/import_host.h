/* Files of qmail's users and tcpserver's that lie outside qmail's directory. */
#pragma once

#include "postern/import_place.h"

/* tcpserver's rules in /etc, and .qmail and .forward in the homes of users. */
void import_host(struct import *im);
