/* Enhanced status codes.
 * Trusts no text: it may come from another host.
 * Never gives a part of a code. */
#include "base/enhanced.h"

#include <string.h>

#define CLASS_MAX 9u

bool
enhanced_parse(struct bytes text, uint16_t code[3])
{
	uint16_t found[3];
	struct bytes part;
	uint64_t n;

	for (size_t i = 0; i < 3; i++) {
		if (text.at == NULL || !bytes_split(&text, '.', &part) || part.len > 3 ||
		    !bytes_to_number(part, i == 0 ? CLASS_MAX : ENHANCED_PART_MAX, &n))
			return false;
		found[i] = (uint16_t)n;
	}
	if (text.at != NULL)
		return false;
	memcpy(code, found, sizeof found);
	return true;
}

bool
enhanced_is_valid(const uint16_t code[3])
{
	return code[0] <= CLASS_MAX && code[1] <= ENHANCED_PART_MAX && code[2] <= ENHANCED_PART_MAX;
}
