/* Fuzz target: address lists of header fields.
 * A finding is a crash, an address with octets that no envelope may have, or one that lies outside of the list.
 * Input: the field's value. */
#include "mail/address.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	size_t end, len;
};

static enum result
check(void *ctx, const struct address *a, struct why *why)
{
	struct seen *seen = ctx;

	(void)why;
	if (a->text.len == 0 || a->text.len > ADDRESS_MAX || a->end <= seen->end || a->end > seen->len)
		abort();
	if (bytes_find(a->text, '\0') < a->text.len)
		abort();
	if (a->has_domain && bytes_find(a->text, '@') == a->text.len)
		abort();
	seen->end = a->end;
	return OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen seen = { 0, size };
	struct why why = WHY_NONE;

	if (address_list(bytes_of(data, size), check, &seen, &why) != OK && why.text[0] == '\0')
		abort();
	return 0;
}
