/* Fuzz target: files of certificates and revocation lists.
 * Trusts nothing. A finding is a crash, or a text of which a part cut off at its end was taken for more than the whole. */
#include "crypt/pem.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_kind(struct bytes text, enum pem_kind kind)
{
	struct why why = WHY_NONE;
	unsigned n = 0, fewer = 0;

	if (pem_check(text, kind, &n, &why) == OK &&
	    pem_check(bytes_first(text, text.len / 2), kind, &fewer, &why) == OK && fewer > n)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 1); /* its own block, so that reading past the end is seen */

	if (copy == NULL)
		return 0;
	memcpy(copy, data, size);
	try_kind(bytes_of(copy, size), PEM_CERTIFICATES);
	try_kind(bytes_of(copy, size), PEM_CRLS);
	free(copy);
	return 0;
}
