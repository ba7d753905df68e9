/* Enhanced status codes (RFC 3463 2): class, subject and detail, as three numbers. A class of 0 means that there is none. */
#pragma once

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

#define ENHANCED_PART_MAX 999u /* of subject and detail: each has up to three digits */
#define ENHANCED_TEXT 20       /* octets that hold one as text, with its NUL */

/* Reads text of exactly the form "5.7.509". False: it is not of that form, or a number is too large; code is unchanged. */
bool enhanced_parse(struct bytes text, uint16_t code[3]);

/* Whether a code that came from another process has numbers that the text of a status may have. */
bool enhanced_is_valid(const uint16_t code[3]);
