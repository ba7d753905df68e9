/* The words of NOTIFY.
 * Trusts nobody: what a peer said is a word of the table or none.
 * Never keeps anything. */
#include "base/notify.h"

const struct notify_word notify_words[NOTIFY_N_WORDS] = {
	{ "NEVER", NOTIFY_NEVER },
	{ "SUCCESS", NOTIFY_SUCCESS },
	{ "FAILURE", NOTIFY_FAILURE },
	{ "DELAY", NOTIFY_DELAY },
};

bool
notify_is_valid(unsigned notify)
{
	return notify == NOTIFY_NEVER || (notify & ~(unsigned)(NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY)) == 0;
}

unsigned
notify_of_word(struct bytes word)
{
	for (size_t i = 0; i < NOTIFY_N_WORDS; i++)
		if (bytes_equal_nocase(word, bytes_of_string(notify_words[i].text)))
			return notify_words[i].bit;
	return 0;
}
