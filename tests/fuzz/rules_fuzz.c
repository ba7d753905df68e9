/* Fuzz target: one line of connection rules.
 * A finding is a crash, or a record that would not be believed when it is read.
 * Input: the line. */
#include "control/rules.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum result
check(void *ctx, struct bytes key, struct bytes data, struct why *why)
{
	(void)ctx;
	(void)why;
	if (key.len > RULES_KEY_MAX || !rules_data_is_valid(data))
		abort();
	return OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes line = { data, size };
	struct why why = WHY_NONE;

	if (bytes_find(line, '\0') < size) /* no line of a file has one: its reader refuses it */
		return 0;
	if (rules_compile(line, check, NULL, &why) != OK && why.text[0] == '\0')
		abort();
	return 0;
}
