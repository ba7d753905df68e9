/* PEM (RFC 7468) read whole or not at all: a file that was cut or damaged never counts as a shorter one. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"

enum pem_kind { PEM_CERTIFICATES, PEM_CRLS };

/* Reads all blocks of that kind. *n: how many there are; other blocks are passed over, but must end. MALFORMED, with the
 * line in why: a block that does not end, ends without a beginning, or is not what its label says. */
enum result pem_check(struct bytes text, enum pem_kind kind, unsigned *n, struct why *why);
