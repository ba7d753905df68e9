/* Which OpenSSL a program has in it.
 * Trusts the library to say when it was built, which is the same text in its static and its shared form.
 * Never runs what it looks at. */
#include "crypt/version.h"

#include <openssl/crypto.h>
#include <string.h>

#define MARK "built on: "
#define MARK_MAX 80

bool
openssl_is_another(struct bytes image, struct bytes *built, const char **here)
{
	const uint8_t *found = image.len > 0 ? memmem(image.at, image.len, MARK, strlen(MARK)) : NULL;

	*here = OpenSSL_version(OPENSSL_BUILT_ON);
	if (found == NULL || strncmp(*here, MARK, strlen(MARK)) != 0)
		return false;
	*built = bytes_of(found, strnlen((const char *)found, (size_t)(image.at + image.len - found)));
	*built = bytes_first(*built, MARK_MAX);
	return !bytes_equal(*built, bytes_of_string(*here));
}
