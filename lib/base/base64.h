/* Base64 (RFC 4648 4): with padding, without line breaks. */
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/result.h"

void base64_encode(struct bytes from, struct buf *into);

/* Strict: whole groups of four, padding only at the end, unused bits zero. MALFORMED otherwise; what fits not into the
 * buffer makes it fail as buffers do. */
enum result base64_decode(struct bytes text, struct buf *into);
