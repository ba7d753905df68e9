/* Fuzz target: wildcards.
 * A finding is a crash, a hang, or a text that does not fit itself with every octet escaped.
 * Input: a text, a zero, a pattern. */
#include "control/patterns.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes all = { data, size }, text = bytes_first(all, bytes_find(all, '\0'));
	struct buf escaped = buf_growing(1u << 20);

	(void)wildmat(text, bytes_skip(all, text.len + 1));
	for (size_t i = 0; i < text.len; i++) {
		buf_add_octet(&escaped, '\\');
		buf_add_octet(&escaped, text.at[i]);
	}
	if (!escaped.failed && !wildmat(text, buf_bytes(&escaped)))
		abort();
	buf_free(&escaped);
	return 0;
}
