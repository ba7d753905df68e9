/* What `warden` may do. */
#pragma once

#include "sys/privileges.h"

extern const struct privileges warden_privileges;
