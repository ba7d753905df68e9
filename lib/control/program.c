/* A program's words as execve takes them.
 * Trusts the sealed configuration to be whole; counts all the same.
 * Never executes anything, never looks for a file. */
#include "control/program.h"

#include <stdint.h>

bool
program_words(struct bytes packed, char *words[PROGRAM_WORDS_MAX + 1])
{
	size_t n = 0, end;

	while (packed.len > 0) {
		end = bytes_find(packed, '\0');
		if (end == packed.len || n == PROGRAM_WORDS_MAX)
			return false;
		words[n++] = (char *)(uintptr_t)packed.at;
		packed = bytes_skip(packed, end + 1);
	}
	words[n] = NULL;
	return n > 0 && words[0][0] == '/';
}
