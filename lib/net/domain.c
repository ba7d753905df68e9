/* Domain names.
 * Trusts nothing about the text.
 * Never passes on an octet that means something in a path, a log line or a file name. */
#include "net/domain.h"

#include "base/utf8.h"

#include <arpa/inet.h>
#include <string.h>

#define LABEL_MAX 63

static bool
label_is_valid(struct bytes label, bool utf8)
{
	if (label.len == 0 || label.len > LABEL_MAX || label.at[0] == '-' || label.at[label.len - 1] == '-')
		return false;
	for (size_t i = 0; i < label.len; i++)
		if (!ascii_is_alnum(label.at[i]) && label.at[i] != '-' && label.at[i] != '_' &&
		    !(utf8 && label.at[i] >= 0x80))
			return false;
	return utf8_is_valid(label);
}

bool
domain_is_valid(struct bytes name, bool utf8)
{
	struct bytes label;

	if (name.len == 0 || name.len > DOMAIN_MAX)
		return false;
	while (bytes_split(&name, '.', &label))
		if (!label_is_valid(label, utf8))
			return false;
	return true;
}

bool
domain_literal_address(struct bytes text, uint8_t address[16], size_t *len)
{
	static const char six[] = "IPv6:";
	char copy[64];

	if (text.len < 3 || text.len > sizeof copy || text.at[0] != '[' || text.at[text.len - 1] != ']')
		return false;
	text = bytes_first(bytes_skip(text, 1), text.len - 2);
	*len = 4;
	if (bytes_starts_nocase(text, BYTES(six))) {
		text = bytes_skip(text, sizeof six - 1);
		*len = 16;
	}
	if (memchr(text.at, '\0', text.len) != NULL)
		return false;
	memcpy(copy, text.at, text.len);
	copy[text.len] = '\0';
	return inet_pton(*len == 4 ? AF_INET : AF_INET6, copy, address) == 1;
}

bool
domain_is_literal(struct bytes text)
{
	uint8_t address[16];
	size_t len;

	return domain_literal_address(text, address, &len);
}
