/* The doors of running services that are root's. */
#pragma once

#include "base/result.h"

/* Connects to the door of that name below the run directory; *fd is the caller's. AGAIN: the service does not run. */
enum result admin_door(const char *run, const char *door, const char *service, int *fd, struct why *why);
