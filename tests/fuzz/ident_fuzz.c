/* Fuzz target: what an IDENT server answers.
 * A finding is a crash, or a user that is not a part of the answer's first line.
 * Input: the answer. */
#include "ucspi/lookup.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes line = { data, size }, user = ident_user(line);

	if (user.len == 0)
		return 0;
	if (user.at < data || user.at + user.len > data + size || bytes_find(user, '\n') < user.len)
		abort();
	return 0;
}
