/* Which OpenSSL a program has in it. */
#pragma once

#include "base/bytes.h"

/* Whether the octets of a program hold an OpenSSL, linked statically, that is not the one that runs here: after an update of the
 * system's library such a program still has the old one. *built, *here: when each of the two was built, as OpenSSL says it;
 * built lies in the image, here lives for ever. */
bool openssl_is_another(struct bytes image, struct bytes *built, const char **here);
