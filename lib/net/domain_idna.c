/* The form in which domains are looked up. A file of its own, so that who only checks names need not link libidn2.
 * Trusts libidn2 for IDNA; nothing about the text.
 * Never yields two forms of one domain, nor an octet that is in no domain. */
#include "net/domain.h"

#include "base/utf8.h"

#include <idn2.h>
#include <string.h>

static void
add_lower(struct buf *into, struct bytes name)
{
	for (size_t i = 0; i < name.len; i++)
		buf_add_octet(into, ascii_lower(name.at[i]));
}

/* The mapping of UTS 46 turns what looks like @ > or / into just that, and what looks like a dot into an empty label. */
static enum result
add_mapped(struct buf *into, struct bytes name)
{
	if (!domain_is_valid(name, false))
		return MALFORMED;
	add_lower(into, name);
	return buf_result(into);
}

enum result
domain_normalise(struct bytes name, struct buf *into)
{
	char copy[DOMAIN_MAX + 1];
	uint8_t *ascii = NULL;
	enum result r;

	if (name.len > 0 && name.at[name.len - 1] == '.')
		name.len--;
	if (utf8_is_ascii(name)) {
		add_lower(into, name);
		return buf_result(into);
	}
	if (name.len > DOMAIN_MAX || !utf8_is_valid(name))
		return MALFORMED;
	memcpy(copy, name.at, name.len);
	copy[name.len] = '\0';
	if (idn2_lookup_u8((const uint8_t *)copy, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return MALFORMED;
	r = add_mapped(into, bytes_of_string((const char *)ascii));
	idn2_free(ascii);
	return r;
}
