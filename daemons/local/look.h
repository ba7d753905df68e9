/* Whether a home has `.qmail` files. */
#pragma once

#include <stdbool.h>

/* Whether the working directory has a file that may count for its user's own name (.qmail), or, if the address has an extension, for that: any .qmail* then. It is read
 * anew only after it has changed; if it can't be read, it has. */
bool look_for_instructions(bool for_extension);
