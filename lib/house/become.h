/* What a fork of warden, or of a command with helpers, becomes: a member of a generation. */
#pragma once

#include "house/generation.h"

#define GIFTS_MAX 128

struct parcel {
	struct gift gifts[GIFTS_MAX];
	size_t n;
};

/* In the child: puts the descriptors where the member's table has them, leaves no other open, and executes its program with
 * the arguments that process_begin reads. source: the control files, if they name ports; null if there are none. */
__attribute__((noreturn)) void become_member(
    const struct instance *in, const struct control_source *source, const struct member *m, struct parcel *p);
