/* Names of messages and connections.
 * Trusts its caller's clock only to be roughly right: ids of one process are unique whatever it says.
 * Never yields an octet that means something in a file name, a header field or a log line. */
#include "base/id.h"

#include <string.h>

static const char digits[] = "0123456789abcdefghijklmnopqrstuv";

struct id
id_of_number(uint64_t n)
{
	struct id id;

	for (size_t i = ID_LEN; i-- > 0; n /= 32)
		id.text[i] = digits[n % 32];
	id.text[ID_LEN] = '\0';
	return id;
}

struct id
id_next(uint64_t *last, uint64_t now_us)
{
	*last = now_us > *last ? now_us : *last + 1;
	return id_of_number(*last);
}

static bool
is_digit(uint8_t c)
{
	return ascii_is_digit(c) || (c >= 'a' && c <= 'v');
}

bool
id_is_valid(struct bytes text)
{
	if (text.len != ID_LEN)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (!is_digit(text.at[i]))
			return false;
	return true;
}

bool
id_from_bytes(struct bytes text, struct id *id)
{
	if (!id_is_valid(text))
		return false;
	memcpy(id->text, text.at, ID_LEN);
	id->text[ID_LEN] = '\0';
	return true;
}

uint64_t
id_number(const struct id *id)
{
	uint64_t n = 0;

	for (size_t i = 0; i < ID_LEN; i++)
		n = n * 32 +
		    (uint64_t)(ascii_is_digit((uint8_t)id->text[i]) ? id->text[i] - '0' : id->text[i] - 'a' + 10);
	return n;
}
