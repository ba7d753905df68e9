/* Exit statuses, and statuses in texts.
 * Trusts no text: it is searched for one form and nothing else.
 * Never makes a status of another class than the verdict's. */
#include "mail/program_exit.h"

#include "base/enhanced.h"

#include <stdbool.h>
#include <string.h>

enum program_verdict
program_verdict_of(uint32_t exit_status)
{
	static const uint8_t never[] = { 100, 112, 64, 65, 70, 76, 77, 78 };

	if (exit_status == 0)
		return PROGRAM_DONE;
	if (exit_status == 99)
		return PROGRAM_STOP;
	for (size_t i = 0; i < nitems(never); i++)
		if (never[i] == exit_status)
			return PROGRAM_NEVER;
	return PROGRAM_LATER;
}

void
program_status_in(struct bytes text, uint16_t class, uint16_t status[3])
{
	uint16_t found[3];
	size_t at, n;

	for (; (at = bytes_find(text, '#')) < text.len; text = bytes_skip(text, at + 1)) {
		struct bytes word = bytes_skip(text, at + 1);

		for (n = 0; n < word.len && (ascii_is_digit(word.at[n]) || word.at[n] == '.');)
			n++;
		if (at > 0 && text.at[at - 1] == '(' && enhanced_parse(bytes_first(word, n), found) &&
		    found[0] == class) {
			memcpy(status, found, sizeof found);
			return;
		}
	}
}
