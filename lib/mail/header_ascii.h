/* Whether a message's header needs SMTPUTF8 (RFC 6532) on its way. */
#pragma once

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

/* Whether the text has no octet beyond ASCII. */
bool text_is_ascii(struct bytes text);

/* Whether the header has none: the content of len octets at that offset of the file, up to its first empty line. A file that can't be
 * read has one, so that nothing is taken for simpler than it is. */
bool header_is_ascii(int fd, uint64_t at, uint64_t len);
