/* What `sslserver` may do. */
#pragma once

#include "sys/privileges.h"

extern const struct privileges sslserver_privileges;
