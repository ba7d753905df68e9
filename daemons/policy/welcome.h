/* The first word to a session. */
#pragma once

#include "policy/policy.h"

enum result session_welcome(const struct policy *p, struct session *s, enum result met, struct why *why);
