/* What a field of an envelope may be.
 * Trusts nobody: these octets come from a front end, or from a disk.
 * Never changes a field; one that does not fit is refused. */
#include "store/check.h"

#include "store/store.h"

static bool
is_plain(struct bytes f)
{
	for (size_t i = 0; i < f.len; i++)
		if (f.at[i] < ' ' || f.at[i] == 0x7f)
			return false;
	return true;
}

bool
field_is_path(struct bytes f)
{
	return f.len <= STORE_PATH_MAX && is_plain(f);
}

bool
field_is_word(struct bytes f)
{
	return f.len <= STORE_WORD_MAX && is_plain(f);
}

bool
field_is_trace(struct bytes f)
{
	bool cr = false;

	if (f.len > STORE_TRACE_MAX)
		return false;
	for (size_t i = 0; i < f.len; i++) {
		uint8_t c = f.at[i];

		if (c == '\0' || cr != (c == '\n'))
			return false;
		cr = c == '\r';
	}
	return f.len == 0 || f.at[f.len - 1] == '\n';
}
