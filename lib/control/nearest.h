/* How near two names are: for hints to an administrator who has misspelled one. */
#pragma once

#include "base/bytes.h"

#define NEAREST_LEN_MAX 40

/* Letters that have to be put in, left out, replaced, or exchanged with their neighbour to make one of the other; case
 * does not count. SIZE_MAX if a name is longer than NEAREST_LEN_MAX octets. */
size_t nearest_distance(struct bytes a, struct bytes b);
