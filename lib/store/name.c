/* The directory of a queue file, from its id.
 * Trusts that an id is valid: that is what its type says.
 * Never makes a name of anything but an id. */
#include "store/store.h"

#define SPLIT_AT 5 /* the sixth digit: changes every 32^5 microseconds, 33 seconds */

unsigned
store_split_of(const struct id *id)
{
	char c = id->text[SPLIT_AT];

	return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

char
store_split_digit(unsigned split)
{
	return (char)(split < 10 ? '0' + (int)split : 'a' + (int)split - 10);
}
