/* postern check: what would surprise in the tables for mail to other hosts. */
#pragma once

#include "control/control.h"
#include "control/source.h"

/* Says each as a whole text, without place or line end. */
typedef void remote_warn(void *ctx, enum control_item item, const char *text);

/* Of the service `send`: its source, and the same as opened. Reads the files that are named with the caller's rights. */
void check_remote(const struct control_source *s, const struct control *c, remote_warn *say, void *ctx);
