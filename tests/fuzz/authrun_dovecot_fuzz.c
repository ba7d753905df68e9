/* Fuzz target: what answers at dovecotauth says, line by line.
 * A finding is a crash, or a field that is not inside its line or has the end of one in it.
 * Input: lines with LF. */
#include "authrun/dovecot_line.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must_be_within(struct bytes field, struct bytes line)
{
	if (field.at == NULL)
		return;
	if (field.at < line.at || field.at + field.len > line.at + line.len || bytes_find(field, '\t') < field.len ||
	    bytes_find(field, '\0') < field.len)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 1); /* its own block, so that reading past the end is seen */
	struct bytes rest, line;
	struct dovecot_line l;

	if (copy == NULL)
		return 0;
	if (size > 0)
		memcpy(copy, data, size);
	rest = bytes_of(copy, size);
	while (bytes_split(&rest, '\n', &line))
		if (dovecot_cut(line, &l) == OK) {
			must_be_within(l.name, line);
			must_be_within(l.user, line);
			must_be_within(l.reason, line);
			if (l.kind != DOVECOT_OK && l.kind != DOVECOT_FAIL && l.kind != DOVECOT_CONT &&
			    l.kind != DOVECOT_VERSION && l.number != 0)
				abort();
		}
	free(copy);
	return 0;
}
