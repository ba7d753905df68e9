/* What a field of an envelope may be: the same for what is written and for what is read. */
#pragma once

#include "base/bytes.h"

bool field_is_path(struct bytes f);  /* at most STORE_PATH_MAX octets, no control octets */
bool field_is_word(struct bytes f);  /* at most STORE_WORD_MAX, no control octets */
bool field_is_trace(struct bytes f); /* at most STORE_TRACE_MAX, lines that end in CRLF, no other CR, LF or NUL */
