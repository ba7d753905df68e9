/* Fuzz target: what may be signed, for both sides, and key files.
 * Trusts nothing. A finding is a crash; what is refused is fine. */
#include "crypt/signer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t spki[SPKI_LEN];
	struct why why = WHY_NONE;
	enum signing_form form;
	struct signer s;
	uint8_t *copy = malloc(size + 1); /* its own block, so that reading past the end is seen */

	if (copy == NULL)
		return 0;
	memcpy(copy, data, size);
	if (signing_text_check(SIGN_TLS_SERVER, bytes_of(copy, size), &form, &why) == OK &&
	    signing_text_check(SIGN_TLS_CLIENT, bytes_of(copy, size), &form, &why) == OK)
		abort(); /* no text is both sides' */
	if (size > 5 + SPKI_LEN)
		memcpy(copy + 5, spki, SPKI_LEN);
	if (signer_open(&s, bytes_of(copy, size), spki, &why) == OK)
		signer_close(&s);
	free(copy);
	return 0;
}
